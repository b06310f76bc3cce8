/**
 * The outbound half of the policy file, with every default applied. A route inherits from outbound, and a next hop from
 * its route. Part of effective.ts. Pure.
 */
import type { MailRelaySpec } from './mailrelay.ts';
import { parseServer } from './networks.ts';
import type { DestinationLimits, Hop, Policy, Provider, Retry } from './policyfile.ts';
import { parseDuration, parsed } from './units.ts';
import { SIDECAR_SERVER } from './wellknown.ts';

type OutboundSpec = NonNullable<MailRelaySpec['outbound']>;
type RouteSpec = NonNullable<OutboundSpec['routes']>[number];
type HopSpec = NonNullable<OutboundSpec['smartHosts']>[number];
/** What a hop inherits from its route, and a route from outbound. */
type RouteTerms = Pick<Hop, 'tlsLevel' | 'minTlsVersion' | 'sourceAddresses' | 'socksProxy'>;
type TlsFloor = Pick<Hop, 'tlsLevel' | 'minTlsVersion'>;
type ProviderSpec = NonNullable<OutboundSpec['providers']>[number];

const MESSAGES_PER_CONNECTION = 100;

export function effectiveOutbound({ outbound = {} }: MailRelaySpec): Policy['outbound'] {
  const terms = {
    tlsLevel: outbound.tls?.level ?? 'Opportunistic',
    minTlsVersion: outbound.tls?.minVersion ?? 'TLSv1.2',
    sourceAddresses: outbound.sourceAddresses ?? [],
    socksProxy: effectiveProxy(outbound.socksProxy),
  };
  const { limits } = outbound;
  const resolver = effectiveResolver(outbound.resolver);
  return {
    ...terms,
    // Without DNSSEC nobody has asked for DANE, unless the spec says so.
    discover: outbound.tls?.discover ?? (resolver?.trustAD ? ['DANE', 'MTASTS'] : ['MTASTS']),
    trustConfigMap: outbound.tls?.trustConfigMapName ?? null,
    clientCertificateSecret: outbound.tls?.clientCertificateSecretName ?? null,
    ipFamily: outbound.ipFamily ?? 'Any',
    tlsReports: effectiveTlsReports(outbound.tls?.reports),
    resolver,
    smartHosts: (outbound.smartHosts ?? []).map((hop) => effectiveHop(hop, terms, outbound)),
    routes: (outbound.routes ?? []).map((route) => effectiveRoute(route, terms, outbound)),
    dkim: (outbound.dkim ?? []).map(({ domain, selector, secretName, use }) => ({
      domain,
      selector,
      secret: secretName,
      signs: use !== 'Publish',
    })),
    limits: {
      ...effectiveDestinationLimits(limits),
      messagesPerConnection: limits?.messagesPerConnection ?? MESSAGES_PER_CONNECTION,
    },
    providers: (outbound.providers ?? []).map((provider) => effectiveProvider(provider, outbound)),
  };
}

function effectiveProxy(proxy: RouteSpec['socksProxy']): Hop['socksProxy'] {
  if (proxy === undefined) return null;
  const { host, port = 1080, credentialsSecretName = null } = proxy;
  return { host, port, credentialsSecret: credentialsSecretName };
}

function effectiveDestinationLimits(limits: RouteSpec['limits']): DestinationLimits {
  return {
    connectionsPerDestination: limits?.connectionsPerDestination ?? 20,
    messagesPerDestinationPerMinute: limits?.messagesPerDestinationPerMinute ?? null,
  };
}

function effectiveRoute(
  { recipientDomains, senders, hosts, tls, limits, retry, sourceAddresses, socksProxy }: RouteSpec,
  terms: RouteTerms,
  outbound: OutboundSpec,
): Policy['outbound']['routes'][number] {
  const own = {
    ...effectiveFloor(tls, terms),
    // Connections to a proxy come from any address of the pod.
    sourceAddresses: sourceAddresses ?? (socksProxy ? [] : terms.sourceAddresses),
    socksProxy: effectiveProxy(socksProxy),
  };
  return {
    recipientDomains: recipientDomains ?? null,
    senders: senders ?? null,
    hosts: hosts?.map((hop) => effectiveHop(hop, own, outbound)) ?? null,
    ...own,
    limits: limits ? effectiveDestinationLimits({ ...outbound.limits, ...limits }) : null,
    retry: effectiveRetry(retry),
  };
}

function effectiveProvider(
  { name, mxHosts, limits = {}, warmUp, retry }: ProviderSpec,
  outbound: OutboundSpec,
): Provider {
  return {
    name,
    mxHosts,
    limits: {
      connections: limits.connections ?? null,
      messagesPerMinute: limits.messagesPerMinute ?? null,
      messagesPerConnection:
        limits.messagesPerConnection ?? outbound.limits?.messagesPerConnection ?? MESSAGES_PER_CONNECTION,
    },
    warmUp: warmUp ?? null,
    retry: effectiveRetry(retry),
  };
}

function effectiveRetry(retry: RouteSpec['retry']): Retry | null {
  if (retry === undefined) return null;
  const { minBackoff, maxBackoff, expireAfter } = retry;
  const seconds = (text: string) => Math.max(1, parsed(parseDuration, text));
  return {
    backoff:
      minBackoff === undefined || maxBackoff === undefined
        ? null
        : { minSeconds: seconds(minBackoff), maxSeconds: seconds(maxBackoff) },
    expireAfterSeconds: expireAfter === undefined ? null : seconds(expireAfter),
  };
}

function effectiveFloor(tls: RouteSpec['tls'], { tlsLevel, minTlsVersion }: TlsFloor): TlsFloor {
  return { tlsLevel: tls?.level ?? tlsLevel, minTlsVersion: tls?.minVersion ?? minTlsVersion };
}

function effectiveHop(hop: HopSpec, terms: RouteTerms, outbound: OutboundSpec): Hop {
  const implicitTLS = hop.implicitTLS ?? false;
  return {
    host: hop.host,
    port: hop.port ?? (implicitTLS ? 465 : 25),
    protocol: hop.protocol ?? 'SMTP',
    implicitTLS,
    ...effectiveFloor(hop.tls, terms),
    serverName: hop.tls?.serverName ?? null,
    trustConfigMap: hop.tls?.trustConfigMapName ?? outbound.tls?.trustConfigMapName ?? null,
    clientCertificateSecret:
      hop.tls?.clientCertificateSecretName ?? outbound.tls?.clientCertificateSecretName ?? null,
    credentialsSecret: hop.credentialsSecretName ?? null,
    priority: hop.priority ?? 0,
    weight: hop.weight ?? null,
    ipFamily: hop.ipFamily ?? outbound.ipFamily ?? 'Any',
    sourceAddresses: terms.sourceAddresses,
    socksProxy: terms.socksProxy,
    proxyProtocol: hop.proxyProtocol?.version ?? null,
  };
}

function effectiveTlsReports(
  reports: NonNullable<OutboundSpec['tls']>['reports'],
): Policy['outbound']['tlsReports'] {
  if (reports === undefined || reports.enabled === false) return null;
  return { from: reports.from, contact: reports.contact ?? reports.from };
}

function effectiveResolver(resolver: OutboundSpec['resolver']): Policy['outbound']['resolver'] {
  if (resolver === undefined) return null;
  const { addresses = [], trustAD = false, sidecar } = resolver;
  if (sidecar) return { servers: [SIDECAR_SERVER], trustAD: true };
  return { servers: addresses.map((text) => parsed(parseServer, text)), trustAD };
}
