/**
 * The policy file: the complete settings of one relay. The operator (or `mailrelay run`) writes it and the relay reads
 * it. Their versions may differ during a rollout, so the format and the file name contain a version, and a ConfigMap
 * may contain several versions. Every field of the format is explicit, so a relay needs no defaults; a field that is
 * newer than the format is there only where it is set (`newer`). A parse error is one sentence that names the field.
 * This file uses no disk.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { addresses } from './addresspolicy.ts';
import { LOG_ADDRESSES, LOG_LEVELS } from './logging.ts';
import { clients } from './policyclients.ts';
import { filter, listenerFilter } from './policyfilter.ts';
import {
  type destinationLimits,
  type hop,
  objectName,
  outbound,
  type provider,
  type retry,
  type socksProxy,
} from './policyoutbound.ts';
import { events, queue } from './policyqueue.ts';
import { TLS_VERSIONS } from './tlslevel.ts';

export const POLICY_FORMAT = 1;
export const POLICY_FILE_NAME = `policy.v${POLICY_FORMAT}.json`;

/**
 * A key that came after the first relays of this format. These refuse a policy with a key that they do not know, so it
 * is written only where the spec sets it. Without it the relay does as it did before there was the key. This also keeps
 * the hash of a policy the same in both versions.
 */
function newer<T extends z.ZodType>(schema: T) {
  return schema.optional();
}

export const STARTTLS_POLICIES = ['Disabled', 'Enabled', 'Required'] as const;
export type StartTlsPolicy = (typeof STARTTLS_POLICIES)[number];

/** How the listener treats lines that do not end in CRLF. */
export const LINE_ENDINGS = ['Strict', 'Normalize'] as const;
export type LineEndings = (typeof LINE_ENDINGS)[number];

/** Content of our Received field. */
export const RECEIVED_FIELDS = ['Full', 'NoClient', 'None'] as const;
export type ReceivedField = (typeof RECEIVED_FIELDS)[number];

const listener = z.strictObject({
  name: z.string(),
  /** The port in the manifest; the process listens on `servedPort` of wellknown.ts. */
  port: z.int().min(1).max(65_535),
  starttls: z.enum(STARTTLS_POLICIES),
  implicitTLS: z.boolean(),
  lineEndings: z.enum(LINE_ENDINGS),
  auth: z.enum(['Disabled', 'Optional', 'Required']),
  /** Connections from these networks begin with a PROXY header. */
  proxyNetworks: z.array(z.string()),
  /** Who may relay on this port. */
  clients,
  /** null: the content filter is not asked. */
  filter: listenerFilter.nullable(),
});

/** The Secret of a key pair, and the names for which it is served. */
const namedPair = z.strictObject({ secret: objectName, names: z.array(z.string()).min(1) });

const inbound = z.strictObject({
  minTlsVersion: z.enum(['TLSv1.2', 'TLSv1.3']),
  /** The key pair for clients that ask for one of these names by SNI. All others get the pair of the host name. */
  internalTls: namedPair.nullable(),
  /** The same for other host names of the relay. A name may be a wildcard: see sni.ts. */
  sniCertificates: z.array(namedPair),
  /** Only the enabled listeners; empty if the spec disables the listener task. */
  listeners: z.array(listener),
  clientPolicies: z.array(
    z.strictObject({
      networks: z.array(z.string()),
      /** null: the policy of the listener. */
      starttls: z.enum(STARTTLS_POLICIES).nullable(),
      minTlsVersion: z.enum(TLS_VERSIONS).nullable(),
      lineEndings: z.enum(LINE_ENDINGS).nullable(),
    }),
  ),
  /** In lower case. Mail to exactly these domains is accepted from anyone. */
  acceptDomains: z.array(z.string()),
  masqueradeDomains: z.array(z.string()),
  alwaysBcc: z.string().nullable(),
  /** Where TLS reports of others are taken (RFC 8460); null: nowhere. */
  tlsReports: z.strictObject({ address: z.string() }).nullable(),
  /** Where complaints of others are taken (RFC 5965); absent: nowhere. */
  feedbackReports: newer(z.strictObject({ address: z.string() })),
  /** null: there is none. */
  filter: filter.nullable(),
  /** null: nothing is verified. */
  authenticationResults: z
    .strictObject({
      authservId: z.string(),
      /** Whose first key in outbound.dkim seals; null: nothing is sealed. */
      arcSealDomain: z.string().nullable(),
    })
    .nullable(),
  limits: z.strictObject({
    messageBytes: z.int().positive(),
    recipients: z.int().positive(),
    connections: z.int().positive(),
    /** null: unlimited. */
    connectionsPerClient: z.int().positive().nullable(),
    messagesPerClientPerMinute: z.int().positive().nullable(),
    messagesPerLoginPerMinute: z.int().positive().nullable(),
    errorsPerSession: z.int().positive(),
    idleSeconds: z.int().positive(),
    messageSeconds: z.int().positive(),
  }),
});

const policy = z.strictObject({
  format: z.literal(POLICY_FORMAT),
  name: z.string(),
  namespace: z.string(),
  hostname: z.string(),
  inbound,
  outbound,
  /** Serves the MTA-STS policy of the accepted domains (RFC 8461 section 3.3); null: the relay does not. */
  policyHost: z
    .strictObject({
      port: z.int().min(1).max(65_535),
      secret: objectName,
      /** The names that senders ask for: mta-sts.DOMAIN. */
      hosts: z.array(z.string()).min(1),
      /** What they get. */
      text: z.string(),
    })
    .nullable(),
  addresses,
  /** Of submitted mail. */
  headers: z.strictObject({
    /** Names, or a beginning of names before a star. */
    remove: z.array(z.string()),
    received: z.enum(RECEIVED_FIELDS),
    add: z.array(z.strictObject({ name: z.string(), value: z.string() })),
  }),
  queue,
  /** null: nobody is told. */
  events: events.nullable(),
  logging: z.strictObject({
    level: z.enum(LOG_LEVELS),
    addresses: z.enum(LOG_ADDRESSES),
  }),
  trace: z.strictObject({
    level: z.int().min(0).max(4),
    /** null: all. */
    networks: z.array(z.string()).nullable(),
    recipientDomains: z.array(z.string()).nullable(),
    /** RFC 3339, UTC; null: without end. */
    until: z.string().nullable(),
  }),
});

export type Policy = z.infer<typeof policy>;
export type Listener = Policy['inbound']['listeners'][number];
export type Clients = Listener['clients'];
export type NamedPair = z.infer<typeof namedPair>;
export type PolicyHost = NonNullable<Policy['policyHost']>;
export type DestinationLimits = z.infer<typeof destinationLimits>;
export type Provider = z.infer<typeof provider>;
export type Retry = z.infer<typeof retry>;
export type Backoff = NonNullable<Retry['backoff']>;
export type SocksProxy = z.infer<typeof socksProxy>;
export type { IpFamily } from './policyoutbound.ts';
export type Hop = z.infer<typeof hop>;

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

/** The hashes of values that are still in use. A large policy takes a tenth of a second, and is asked for often. */
const hashes = new WeakMap<object, string>();

/** Sixteen hex digits that name a content: a policy, or any part of one. Nobody changes a value after that. */
export function hashContent(value: unknown): string {
  const isObject = typeof value === 'object' && value !== null;
  const known = isObject ? hashes.get(value) : undefined;
  if (known !== undefined) return known;
  const hash = createHash('sha256')
    .update(JSON.stringify(sorted(value)))
    .digest('hex')
    .slice(0, 16);
  if (isObject) hashes.set(value, hash);
  return hash;
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
