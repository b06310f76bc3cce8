/**
 * Where a recipient's mail goes: the route of its domain, else the smart hosts, else the MX hosts of the domain. Pure;
 * looking up MX hosts is resolver.ts.
 */
import type { Hop, Policy } from '#crds/policyfile.ts';
import type { TlsLevel } from '#crds/tlslevel.ts';

/** A destination: mail with the same key waits, is paced and is retried together. */
interface Paced {
  readonly key: string;
  /** For people. */
  readonly name: string;
  /** The part of the spec that decided, for logs. */
  readonly rule: string;
}

export type Destination =
  | (Paced & { kind: 'hops'; hops: readonly Hop[] })
  | (Paced & { kind: 'mx'; domain: string; tlsLevel: TlsLevel });

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
  const name = hops.map(({ host, port }) => `${host}:${port}`).join(',');
  // Hosts that are promised another level are another destination.
  return { kind: 'hops', key: JSON.stringify(hops), name, rule, hops };
}

function mxDestination(domain: string, tlsLevel: TlsLevel): Destination {
  return { kind: 'mx', key: domain, name: domain, rule: 'outbound.tls (MX)', domain, tlsLevel };
}
