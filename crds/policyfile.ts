/**
 * The policy file: what one relay has to do, in the form that the operator (or `mailrelay run`) writes and the relay
 * reads. It belongs to neither, because their versions may differ during a rollout: the format carries a version, the
 * file name carries it too, and a ConfigMap may hold several. Every field is explicit, so that a relay needs no
 * defaults of its own. Parsing fails with one sentence that names the field; nothing here touches a disk.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { TLS_LEVELS } from './tlslevel.ts';

export const POLICY_FORMAT = 1;
export const POLICY_FILE_NAME = `policy.v${POLICY_FORMAT}.json`;

export const STARTTLS_POLICIES = ['Disabled', 'Enabled', 'Required'] as const;
export type StartTlsPolicy = (typeof STARTTLS_POLICIES)[number];

const hop = z.strictObject({
  host: z.string(),
  port: z.int().min(1).max(65_535),
  implicitTLS: z.boolean(),
  tlsLevel: z.enum(TLS_LEVELS),
  /** True where the manifest names credentials: a hop that wants a login is never tried without one. */
  needsCredentials: z.boolean(),
});

const listener = z.strictObject({
  name: z.string(),
  /** As users write it; `servedPort` of wellknown.ts tells where it is really served. */
  port: z.int().min(1).max(65_535),
  starttls: z.enum(STARTTLS_POLICIES),
  implicitTLS: z.boolean(),
  auth: z.enum(['Disabled', 'Optional', 'Required']),
});

const inbound = z.strictObject({
  minTlsVersion: z.enum(['TLSv1.2', 'TLSv1.3']),
  /** Only the enabled ones; empty when the listener task is disabled. */
  listeners: z.array(listener),
  clientPolicies: z.array(
    z.strictObject({ networks: z.array(z.string()), starttls: z.enum(STARTTLS_POLICIES) }),
  ),
  /** CIDRs (or single addresses) that may relay anywhere. */
  relayNetworks: z.array(z.string()),
  usesCredentials: z.boolean(),
  /** Lower case; mail to exactly these domains is accepted from anyone. */
  acceptDomains: z.array(z.string()),
  limits: z.strictObject({
    messageBytes: z.int().positive(),
    recipients: z.int().positive(),
    /** null: unlimited. */
    connectionsPerClient: z.int().positive().nullable(),
    messagesPerClientPerMinute: z.int().positive().nullable(),
  }),
});

const outbound = z.strictObject({
  /** The floor for destinations that have no route and no smart host. */
  tlsLevel: z.enum(TLS_LEVELS),
  discover: z.array(z.enum(['DANE', 'MTASTS'])),
  /** True: peers are verified against the mounted trust bundle only; false: against the runtime's public roots. */
  usesTrustBundle: z.boolean(),
  /** In order of preference; empty: deliver by MX. */
  smartHosts: z.array(hop),
  routes: z.array(z.strictObject({ recipientDomains: z.array(z.string()), hosts: z.array(hop).min(1) })),
});

const policy = z.strictObject({
  format: z.literal(POLICY_FORMAT),
  name: z.string(),
  namespace: z.string(),
  hostname: z.string(),
  inbound,
  outbound,
  queue: z.strictObject({ mode: z.enum(['Durable', 'CutThrough']), expireAfterSeconds: z.int().nullable() }),
  trace: z.strictObject({ level: z.int().min(0).max(4) }),
});

export type Policy = z.infer<typeof policy>;
export type Listener = Policy['inbound']['listeners'][number];
export type Hop = Policy['outbound']['smartHosts'][number];

export type ParsedPolicy = { kind: 'policy'; policy: Policy } | { kind: 'invalid'; message: string };

/** Reads the text of a policy file; never throws. */
export function parsePolicy(text: string): ParsedPolicy {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: 'invalid', message: 'the policy file is not JSON' };
  }
  const result = policy.safeParse(value);
  if (result.success) return { kind: 'policy', policy: result.data };
  const issue = result.error.issues[0];
  return { kind: 'invalid', message: `${issue?.path.join('.') || 'the policy file'}: ${issue?.message}` };
}

/** The canonical text: keys sorted, two-space indent, one final newline. The same policy gives the same bytes. */
export function printPolicy(value: Policy): string {
  return `${JSON.stringify(sorted(value), null, 2)}\n`;
}

/** Sixteen hex digits that name the content of a policy, or of any part of one. */
export function hashOf(value: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(value)))
    .digest('hex')
    .slice(0, 16);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
