/** The clients of a listener in the policy file: who may relay, who logs in how, and who may send as whom. */
import { z } from 'zod';

/** Secrets and ConfigMaps are named here and mounted beside the policy: see references.ts. */
const objectName = z.string();

export const clients = z.strictObject({
  /** CIDRs (or single addresses). */
  networks: z.array(z.string()),
  usersSecret: objectName.nullable(),
  certificates: z.strictObject({ trustConfigMap: objectName, names: z.array(z.string()) }).nullable(),
  oauth: z
    .strictObject({
      issuer: z.string(),
      audience: z.string(),
      subjects: z.array(z.string()),
      keysConfigMap: objectName.nullable(),
      trustConfigMap: objectName.nullable(),
      /** PLAIN and LOGIN take a token too. */
      acceptAsPassword: z.boolean(),
    })
    .nullable(),
  /** Who may use which sender. A login, or a certificate, that no entry names may use any. */
  senderLogins: z.array(
    z.strictObject({
      /** User names and subjects of tokens; a trailing * stands for any rest. */
      logins: z.array(z.string()),
      certificateNames: z.array(z.string()),
      /** Domains, *.domains and addresses. */
      senders: z.array(z.string()),
    }),
  ),
  /** Domains and *.domains; null: any. */
  senderDomains: z.array(z.string()).nullable(),
  recipientDomains: z.array(z.string()).nullable(),
});
