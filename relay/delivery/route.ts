/**
 * Finds the route of a recipient: the relay itself for the addresses of reports, else the first route that matches
 * recipient and sender, else the smart hosts, else the MX hosts of the domain. Pure: resolver.ts looks up MX hosts.
 */
import { compilePatterns, domainOf } from '#crds/patterns.ts';
import type { Hop, Policy } from '#crds/policyfile.ts';
import type { ReportField } from '#crds/reportaddresses.ts';
import { compileReportFields } from '../addresses/reportfields.ts';
import { compileReadableSenders } from '../addresses/senders.ts';
import type { Destination } from './courier.ts';

export type Route = (from: string, to: string) => Destination;

type Policied = Policy['outbound']['routes'][number];
type RouteTerms = Pick<
  Policied,
  'tlsLevel' | 'minTlsVersion' | 'sourceAddresses' | 'socksProxy' | 'limits' | 'retry'
>;

const HERE: Readonly<Record<ReportField, Destination>> = {
  tlsReports: ends('tlsReports'),
  feedbackReports: ends('feedbackReports'),
};

export function compileRoutes(policy: Policy): Route {
  const { outbound } = policy;
  const findReports = compileReportFields(policy);
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
    retry: null,
  });
  return (from, to) => {
    const reports = findReports(to);
    if (reports) return HERE[reports];
    const way = ways.find(({ matches }) => matches(from, to));
    return (way?.towards ?? rest)(domainOf(to));
  };
}

function ends(reports: ReportField): Destination {
  return { kind: 'local', key: `local ${reports}`, name: 'this relay', rule: `inbound.${reports}`, reports };
}

function makeMatcher({ recipientDomains, senders }: Policied): (from: string, to: string) => boolean {
  const isTo = recipientDomains === null ? () => true : compilePatterns(recipientDomains);
  const isFrom = senders === null ? () => true : compileReadableSenders(senders);
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

function hopsDestination(rule: string, hops: readonly Hop[], terms: RouteTerms): Destination {
  const name = hops.map(({ host, port }) => `${host}:${port}`).join(',');
  const pacing = findPacing(terms);
  // Another TLS level makes another destination, and so do other limits.
  return { kind: 'hops', key: `${JSON.stringify(hops)}${pacing.pacing ?? ''}`, name, rule, hops, ...pacing };
}

function mxDestinations(rule: string, terms: RouteTerms): (domain: string) => Destination {
  const { tlsLevel, minTlsVersion, sourceAddresses, socksProxy } = terms;
  const proxy = socksProxy ? [JSON.stringify(socksProxy)] : [];
  const pacing = findPacing(terms);
  const way = [tlsLevel, minTlsVersion, ...sourceAddresses, ...proxy].join(' ');
  const tail = `${way}${pacing.pacing ?? ''}`;
  const own = { tlsLevel, minTlsVersion, sourceAddresses, socksProxy, ...pacing };
  return (domain) => ({ kind: 'mx', key: `${domain} ${tail}`, name: domain, rule, domain, ...own });
}

function findPacing({ limits, retry }: RouteTerms): Pick<Destination, 'pacing' | 'limits' | 'retry'> {
  if (!limits && !retry) return {};
  const words = [
    ...(limits ? [`${limits.connectionsPerDestination}/${limits.messagesPerDestinationPerMinute}`] : []),
    ...(retry ? [JSON.stringify(retry)] : []),
  ];
  return { pacing: ` ${words.join(' ')}`, ...(limits ? { limits } : {}), ...(retry ? { retry } : {}) };
}
