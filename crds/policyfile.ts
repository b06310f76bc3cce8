/**
 * The policy file: the complete settings of one relay. The operator (or `mailrelay run`) writes it and the relay reads
 * it. Their versions may differ during a rollout, so the format and the file name contain a version, and a ConfigMap
 * may contain several versions. Every field is explicit, so a relay needs no defaults. A parse error is one sentence
 * that names the field. This file uses no disk.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { addresses } from './addresspolicy.ts';
import { LOG_ADDRESSES, LOG_LEVELS } from './logging.ts';
import { clients } from './policyclients.ts';
import { events, queue } from './policyqueue.ts';
import { TLS_LEVELS, TLS_VERSIONS } from './tlslevel.ts';

export const POLICY_FORMAT = 1;
export const POLICY_FILE_NAME = `policy.v${POLICY_FORMAT}.json`;

export const STARTTLS_POLICIES = ['Disabled', 'Enabled', 'Required'] as const;
export type StartTlsPolicy = (typeof STARTTLS_POLICIES)[number];

/** How the listener treats lines that do not end in CRLF. */
export const LINE_ENDINGS = ['Strict', 'Normalize'] as const;
export type LineEndings = (typeof LINE_ENDINGS)[number];

/** Content of our Received field. */
export const RECEIVED_FIELDS = ['Full', 'NoClient', 'None'] as const;
export type ReceivedField = (typeof RECEIVED_FIELDS)[number];

export const IP_FAMILIES = ['Any', 'PreferIPv4', 'PreferIPv6', 'IPv4', 'IPv6'] as const;
export type IpFamily = (typeof IP_FAMILIES)[number];

/** What is spoken to a next hop. */
export const HOP_PROTOCOLS = ['SMTP', 'LMTP'] as const;

/** Secrets and ConfigMaps are named here and mounted beside the policy: see references.ts. */
const objectName = z.string();

const hop = z.strictObject({
  host: z.string(),
  port: z.int().min(1).max(65_535),
  protocol: z.enum(HOP_PROTOCOLS),
  implicitTLS: z.boolean(),
  tlsLevel: z.enum(TLS_LEVELS),
  /** From level Encrypt on. */
  minTlsVersion: z.enum(TLS_VERSIONS),
  /** The name that the certificate of the hop must have; null: the host. */
  serverName: z.string().nullable(),
  /** ConfigMap with the authorities; null: the public roots of the runtime. */
  trustConfigMap: objectName.nullable(),
  clientCertificateSecret: objectName.nullable(),
  /** A hop that wants a login is never tried without one. */
  credentialsSecret: objectName.nullable(),
  /**
   * The hop with the lowest number is tried first. Hops of one number share the mail by `weight`, or keep the order of
   * the list.
   */
  priority: z.int().min(0),
  weight: z.int().positive().nullable(),
  ipFamily: z.enum(IP_FAMILIES),
});

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
});

const inbound = z.strictObject({
  minTlsVersion: z.enum(['TLSv1.2', 'TLSv1.3']),
  /** The key pair for clients that ask for one of these names by SNI. All others get the pair of the host name. */
  internalTls: z.strictObject({ secret: objectName, names: z.array(z.string()).min(1) }).nullable(),
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

const outbound = z.strictObject({
  /** The floor for destinations that have no route and no smart host. */
  tlsLevel: z.enum(TLS_LEVELS),
  /** The oldest version for MX hosts without a route, from level Encrypt on. */
  minTlsVersion: z.enum(TLS_VERSIONS),
  discover: z.array(z.enum(['DANE', 'MTASTS'])),
  /** ConfigMap that MX hosts are verified against; null: the public roots of the runtime. */
  trustConfigMap: objectName.nullable(),
  /** Secret with the client certificate for MX hosts; null: none. */
  clientCertificateSecret: objectName.nullable(),
  ipFamily: z.enum(IP_FAMILIES),
  /** Daily reports to MX domains (RFC 8460); null: none. */
  tlsReports: z.strictObject({ from: z.string(), contact: z.string() }).nullable(),
  /** DNS servers for mail hosts; null: those of the system. With `trustAD` their word on DNSSEC counts. */
  resolver: z
    .strictObject({
      servers: z.array(z.strictObject({ address: z.string(), port: z.int().min(1).max(65_535) })).min(1),
      trustAD: z.boolean(),
    })
    .nullable(),
  /** Empty: deliver by MX. */
  smartHosts: z.array(hop),
  /** In order: the first that matches decides. */
  routes: z.array(
    z.strictObject({
      /** Domains and *.domains; null: any. */
      recipientDomains: z.array(z.string()).nullable(),
      /** Domains, *.domains and addresses; null: any. */
      senders: z.array(z.string()).nullable(),
      /** null: the MX hosts of the recipient domain, at `tlsLevel` and `minTlsVersion`. */
      hosts: z.array(hop).min(1).nullable(),
      tlsLevel: z.enum(TLS_LEVELS),
      minTlsVersion: z.enum(TLS_VERSIONS),
    }),
  ),
  dkim: z.array(z.strictObject({ domain: z.string(), selector: z.string(), secret: objectName })),
  limits: z.strictObject({
    connectionsPerDestination: z.int().positive(),
    messagesPerConnection: z.int().positive(),
    /** null: unlimited. */
    messagesPerDestinationPerMinute: z.int().positive().nullable(),
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
export type PolicyHost = NonNullable<Policy['policyHost']>;
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
