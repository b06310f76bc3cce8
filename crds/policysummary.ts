/**
 * What the policy in force says, in short: a part of the status of a pod, for people. The full policy may be large, so
 * every list has a bound here. Pure.
 */
import { z } from 'zod';
import type { Policy } from './policyfile.ts';

const MOST = 16;
const word = () => z.string().max(64);

export const policySummary = z.object({
  listeners: z
    .array(
      z.object({
        name: word(),
        /** The port of the manifest. */
        port: z.int().min(0).max(65_535),
        starttls: word(),
        implicitTLS: z.boolean(),
        auth: word(),
        lineEndings: word(),
      }),
    )
    .max(MOST),
  /** The first of them. */
  clientPolicies: z
    .array(
      z.object({
        networks: z.array(word()).max(MOST),
        /** null: as the listener. */
        starttls: word().nullable(),
        minTlsVersion: word().nullable(),
        lineEndings: word().nullable(),
      }),
    )
    .max(MOST),
  /** How many there are. */
  clientPolicyCount: z.int().min(0).max(1_000_000),
  outbound: z.object({
    tlsLevel: word(),
    routeCount: z.int().min(0).max(1_000_000),
    /** HOST:PORT. Empty: by MX. */
    smartHosts: z.array(z.string().max(262)).max(MOST),
  }),
});
export type PolicySummary = z.infer<typeof policySummary>;

export function summarizePolicy({ inbound, outbound }: Policy): PolicySummary {
  return {
    listeners: inbound.listeners.map(({ name, port, starttls, implicitTLS, auth, lineEndings }) => ({
      name,
      port,
      starttls,
      implicitTLS,
      auth,
      lineEndings,
    })),
    clientPolicies: inbound.clientPolicies.slice(0, MOST).map((one) => ({
      networks: one.networks.slice(0, MOST),
      starttls: one.starttls,
      minTlsVersion: one.minTlsVersion,
      lineEndings: one.lineEndings,
    })),
    clientPolicyCount: inbound.clientPolicies.length,
    outbound: {
      tlsLevel: outbound.tlsLevel,
      routeCount: outbound.routes.length,
      smartHosts: outbound.smartHosts.slice(0, MOST).map(({ host, port }) => `${host}:${port}`),
    },
  };
}
