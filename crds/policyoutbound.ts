/** The outbound half of the policy file. Part of policyfile.ts, with the same promises. */
import { z } from 'zod';
import { TLS_LEVELS, TLS_VERSIONS } from './tlslevel.ts';

export const IP_FAMILIES = ['Any', 'PreferIPv4', 'PreferIPv6', 'IPv4', 'IPv6'] as const;
export type IpFamily = (typeof IP_FAMILIES)[number];

/** What a DKIM key is there for. */
export const DKIM_USES = ['Sign', 'Publish'] as const;

/** What is spoken to a next hop. */
export const HOP_PROTOCOLS = ['SMTP', 'LMTP'] as const;

/** Of the PROXY header that a next hop expects. */
export const PROXY_VERSIONS = ['V1', 'V2'] as const;

/** Secrets and ConfigMaps are named here and mounted beside the policy: see references.ts. */
export const objectName = z.string();

/** One of each family at most. Connections go in these families only. Empty: the system chooses. */
const sourceAddresses = z.array(z.string());

export const socksProxy = z.strictObject({
  host: z.string(),
  port: z.int().min(1).max(65_535),
  /** Its user name and password; null: the proxy wants no login. */
  credentialsSecret: objectName.nullable(),
});

export const hop = z.strictObject({
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
  sourceAddresses,
  /** null: connections go straight to the hop. */
  socksProxy: socksProxy.nullable(),
  /** The version of the PROXY header that begins each connection; null: there is none. */
  proxyProtocol: z.enum(PROXY_VERSIONS).nullable(),
});

export const destinationLimits = z.strictObject({
  connectionsPerDestination: z.int().positive(),
  /** null: unlimited. */
  messagesPerDestinationPerMinute: z.int().positive().nullable(),
});

/** When the pause between two attempts has grown to `maxSeconds`, it grows no more. */
const backoff = z.strictObject({ minSeconds: z.int().positive(), maxSeconds: z.int().positive() });

/** How mail of a route or a provider is retried. */
export const retry = z.strictObject({
  /** null: as for all other destinations. */
  backoff: backoff.nullable(),
  /** null: that of the queue. */
  expireAfterSeconds: z.int().positive().nullable(),
});

/** A mail system that serves many domains, known by its MX hosts. */
export const provider = z.strictObject({
  name: z.string(),
  /** Domains and *.domains. */
  mxHosts: z.array(z.string()).min(1),
  limits: z.strictObject({
    /** Both over all domains of the provider; null: unlimited. */
    connections: z.int().positive().nullable(),
    messagesPerMinute: z.int().positive().nullable(),
    messagesPerConnection: z.int().positive(),
  }),
  /** null: none. With one, the messages in a minute are limited. */
  warmUp: z
    .strictObject({
      /** In UTC, as 2026-12-01. */
      startDate: z.string(),
      days: z.int().positive(),
      messagesPerHour: z.int().positive(),
    })
    .nullable(),
  /** For what the route does not say; null: it says nothing. */
  retry: retry.nullable(),
});

export const outbound = z.strictObject({
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
  /** Of smart hosts, and of MX hosts without a route. */
  sourceAddresses,
  socksProxy: socksProxy.nullable(),
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
      /** null: the MX hosts of the recipient domain, by the terms below. */
      hosts: z.array(hop).min(1).nullable(),
      tlsLevel: z.enum(TLS_LEVELS),
      minTlsVersion: z.enum(TLS_VERSIONS),
      sourceAddresses,
      socksProxy: socksProxy.nullable(),
      /** null: the limits below. */
      limits: destinationLimits.nullable(),
      /** null: that of the provider, or of the queue. */
      retry: retry.nullable(),
    }),
  ),
  dkim: z.array(
    z.strictObject({
      domain: z.string(),
      selector: z.string(),
      secret: objectName,
      /** False: only its DNS record is listed. */
      signs: z.boolean(),
    }),
  ),
  limits: z.strictObject({
    ...destinationLimits.shape,
    messagesPerConnection: z.int().positive(),
  }),
  /** In order: the first that matches decides. */
  providers: z.array(provider),
});
