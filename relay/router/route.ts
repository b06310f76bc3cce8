/**
 * Where a recipient's mail goes: the route of its domain, else the smart hosts, else the MX hosts of the domain. Pure;
 * looking up MX hosts is resolver.ts.
 */
import type { Hop, Policy } from '#crds/policyfile.ts';
import type { TlsLevel } from '#crds/tlslevel.ts';

/** A destination: mail with the same key waits, is paced and is retried together. */
export type Destination =
  | { kind: 'hops'; key: string; rule: string; hops: readonly Hop[] }
  | { kind: 'mx'; key: string; rule: string; domain: string; tlsLevel: TlsLevel };

/** `rule` names the part of the spec that decided, for logs. */
export function routeOf({ outbound }: Policy): (address: string) => Destination {
  const byDomain = new Map<string, Destination>();
  outbound.routes.forEach(({ recipientDomains, hosts }, index) => {
    const destination = hopsDestination(`outbound.routes[${index}]`, hosts);
    for (const domain of recipientDomains) if (!byDomain.has(domain)) byDomain.set(domain, destination);
  });
  const smart =
    outbound.smartHosts.length > 0 ? hopsDestination('outbound.smartHosts', outbound.smartHosts) : undefined;
  return (address) => {
    const domain = address
      .slice(address.lastIndexOf('@') + 1)
      .toLowerCase()
      .replace(/\.$/, '');
    return byDomain.get(domain) ?? smart ?? mxDestination(domain, outbound.tlsLevel);
  };
}

function hopsDestination(rule: string, hops: readonly Hop[]): Destination {
  return { kind: 'hops', key: hops.map(({ host, port }) => `${host}:${port}`).join(','), rule, hops };
}

function mxDestination(domain: string, tlsLevel: TlsLevel): Destination {
  return { kind: 'mx', key: domain, rule: 'outbound.tls (MX)', domain, tlsLevel };
}
