/**
 * Finds the route of a recipient: the relay itself for the address of TLS reports, else the first route that matches
 * recipient and sender, else the smart hosts, else the MX hosts of the domain. Pure: resolver.ts looks up MX hosts.
 */
import { compilePatterns, domainOf } from '#crds/patterns.ts';
import type { Hop, Policy } from '#crds/policyfile.ts';
import { matchReportAddress } from '#crds/tlsreports.ts';
import type { Destination } from './courier.ts';

export type Route = (from: string, to: string) => Destination;

type Policied = Policy['outbound']['routes'][number];
type RouteTerms = Pick<Policied, 'tlsLevel' | 'minTlsVersion' | 'sourceAddresses' | 'socksProxy' | 'limits'>;

const HERE: Destination = { kind: 'local', key: 'local', name: 'this relay', rule: 'inbound.tlsReports' };

export function compileRoutes(policy: Policy): Route {
  const { outbound } = policy;
  const endsHere = matchReportAddress(policy);
  const ways = outbound.routes.map((route, index) => ({
    matches: makeMatcher(route),
    towards: towards(`outbound.routes[${index}]`, route),
  }));
  const rest = towards('outbound.smartHosts', {
    hosts: outbound.smartHosts.length > 0 ? outbound.smartHosts : null,
    tlsLevel: outbound.tlsLevel,
    minTlsVersion: outbound.minTlsVersion,
    sourceAddresses: outbound.sourceAddresses,
    socksProxy: outbound.socksProxy,
    limits: null,
  });
  return (from, to) => {
    if (endsHere(to)) return HERE;
    const way = ways.find(({ matches }) => matches(from, to));
    return (way?.towards ?? rest)(domainOf(to));
  };
}

function makeMatcher({ recipientDomains, senders }: Policied): (from: string, to: string) => boolean {
  const isTo = recipientDomains === null ? () => true : compilePatterns(recipientDomains);
  const isFrom = senders === null ? () => true : compilePatterns(senders);
  return (from, to) => isTo(domainOf(to)) && isFrom(from);
}

function towards(
  rule: string,
  { hosts, ...terms }: Pick<Policied, 'hosts' | keyof RouteTerms>,
): (domain: string) => Destination {
  if (hosts === null)
    return mxDestinations(rule === 'outbound.smartHosts' ? 'outbound.tls (MX)' : `${rule} (MX)`, terms);
  const destination = hopsDestination(rule, hosts, terms);
  return () => destination;
}

function hopsDestination(rule: string, hops: readonly Hop[], { limits }: RouteTerms): Destination {
  const name = hops.map(({ host, port }) => `${host}:${port}`).join(',');
  // Another TLS level makes another destination, and so do other limits.
  const key = [JSON.stringify(hops), ...listLimits(limits)].join(' ');
  return { kind: 'hops', key, name, rule, hops, ...(limits ? { limits } : {}) };
}

function mxDestinations(rule: string, { limits, ...own }: RouteTerms): (domain: string) => Destination {
  const { tlsLevel, minTlsVersion, sourceAddresses, socksProxy } = own;
  const proxy = socksProxy ? [JSON.stringify(socksProxy)] : [];
  const tail = [tlsLevel, minTlsVersion, ...sourceAddresses, ...proxy, ...listLimits(limits)].join(' ');
  const terms = { tlsLevel, minTlsVersion, sourceAddresses, socksProxy, ...(limits ? { limits } : {}) };
  return (domain) => ({ kind: 'mx', key: `${domain} ${tail}`, name: domain, rule, domain, ...terms });
}

function listLimits(limits: RouteTerms['limits']): string[] {
  if (limits === null) return [];
  return [`${limits.connectionsPerDestination}/${limits.messagesPerDestinationPerMinute}`];
}
