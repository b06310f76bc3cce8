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
type RouteTls = Pick<Policied, 'tlsLevel' | 'minTlsVersion'>;

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
  { hosts, ...tls }: Pick<Policied, 'hosts' | keyof RouteTls>,
): (domain: string) => Destination {
  if (hosts === null) {
    const by = rule === 'outbound.smartHosts' ? 'outbound.tls (MX)' : `${rule} (MX)`;
    return (domain) => mxDestination(by, domain, tls);
  }
  const destination = hopsDestination(rule, hosts);
  return () => destination;
}

function hopsDestination(rule: string, hops: readonly Hop[]): Destination {
  const name = hops.map(({ host, port }) => `${host}:${port}`).join(',');
  // Another TLS level makes another destination.
  return { kind: 'hops', key: JSON.stringify(hops), name, rule, hops };
}

function mxDestination(rule: string, domain: string, { tlsLevel, minTlsVersion }: RouteTls): Destination {
  const key = `${domain} ${tlsLevel} ${minTlsVersion}`;
  return { kind: 'mx', key, name: domain, rule, domain, tlsLevel, minTlsVersion };
}
