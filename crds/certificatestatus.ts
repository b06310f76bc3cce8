/**
 * What the status of a pod tells of its certificates. Strings and lists have bounds, because the answer may come from
 * another program.
 */
import { z } from 'zod';

/** The operator keeps an authority for each pod, so a tenant with many pods must not fill its memory with them. */
export const AUTHORITY_LENGTH = 64 * 1024;

const text = (most: number) => z.string().max(most);
const message = () => text(1024);
const instant = () => z.iso.datetime().max(64);

export const certificateFacts = z.object({
  /** Upper-case hex, as openssl prints it. */
  serial: text(128),
  /** SHA-256 of the DER, colon-separated hex. */
  fingerprint: text(128),
  /** RFC 3339, UTC, whole seconds. */
  notBefore: instant(),
  notAfter: instant(),
  names: z.array(text(253)).max(128),
  issuer: message(),
  /** SHA-256 of the SubjectPublicKeyInfo, lower-case hex: the data of a TLSA record 3 1 1. Absent in older relays. */
  publicKeySha256: text(64).optional(),
});
export type CertificateFacts = z.infer<typeof certificateFacts>;

/** The fault or the warning of the mounted pair. `reason` is a reason of conditions.ts. */
export const certificateProblem = z.object({ reason: text(256), message: message() });

export const sniCertificate = z.object({
  secret: text(253),
  names: z.array(text(255)).max(64),
  certificate: certificateFacts.nullable(),
  problem: certificateProblem.nullable(),
});

/** A certificate inside the cluster that waits until clients know its authority. */
export const nextInternalCertificate = certificateFacts.extend({
  /** As PEM. The operator publishes it. */
  authority: text(AUTHORITY_LENGTH),
  /** When the certificate is served; null while the pod does not know that its authority is published. */
  follows: instant().nullable(),
});
