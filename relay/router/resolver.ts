/**
 * From a domain to next hops: MX in order of preference (RFC 5321 section 5.1), the domain itself where there is no
 * MX, nothing at all for a null MX (RFC 7505); and from a host to the addresses of the wanted family. A failing
 * resolver is always temporary; only the domain's own answer is final. An MX that is this relay is a loop.
 */
import { lookup, resolveMx } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { IpFamily, Policy } from '#crds/policyfile.ts';
import type { TlsLevel } from '#crds/tlslevel.ts';
import type { NextHop } from './courier.ts';

export type Resolved =
  | { kind: 'hops'; hops: readonly NextHop[] }
  | { kind: 'deferred'; reason: string }
  | { kind: 'refused'; reason: string };

/** What hops of MX records share. */
export type MxTerms = Pick<Policy['outbound'], 'trustConfigMap' | 'ipFamily'> & { tlsLevel: TlsLevel };

/** Addresses of one host that are tried. */
const ADDRESSES = 4;

export async function resolveHops(domain: string, terms: MxTerms, ourName: string): Promise<Resolved> {
  if (domain.startsWith('[')) return literalHop(domain, terms);
  try {
    const records = await resolveMx(domain);
    return hopsOf(domain, records, terms, ourName);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENODATA') return { kind: 'hops', hops: [hopTo(domain, domain, 0, terms)] };
    if (code === 'ENOTFOUND') return { kind: 'refused', reason: `5.1.2 The domain ${domain} does not exist` };
    return { kind: 'deferred', reason: `4.4.3 Cannot look up the MX of ${domain}: ${code ?? 'no answer'}` };
  }
}

export function hopsOf(
  domain: string,
  records: readonly { exchange: string; priority: number }[],
  terms: MxTerms,
  ourName: string,
): Resolved {
  const sorted = records.toSorted((a, b) => a.priority - b.priority);
  if (sorted.length === 1 && sorted[0]?.exchange === '') {
    return { kind: 'refused', reason: `5.1.10 The domain ${domain} accepts no mail (null MX)` };
  }
  // Only hosts that are preferred over ourselves may get the mail, or it would come back.
  const own = sorted.findIndex(({ exchange }) => exchange.toLowerCase() === ourName);
  const better =
    own === -1 ? sorted : sorted.filter(({ priority }) => priority < (sorted[own]?.priority ?? 0));
  if (better.length === 0) return { kind: 'refused', reason: `5.4.6 The best MX of ${domain} is this relay` };
  return {
    kind: 'hops',
    hops: better.map(({ exchange, priority }) => hopTo(exchange, domain, priority, terms)),
  };
}

/** The hop once for each address of its family, preferred ones first; a host that has none is told as a reason. */
export async function addressHops(hop: NextHop): Promise<Resolved> {
  if (hop.ipFamily === 'Any' || isIP(hop.host) !== 0) return { kind: 'hops', hops: [hop] };
  try {
    const found = await lookup(hop.host, { all: true, order: 'verbatim' });
    const addresses = wantedAddresses(hop.ipFamily, found).slice(0, ADDRESSES);
    if (addresses.length > 0)
      return { kind: 'hops', hops: addresses.map((address) => ({ ...hop, address })) };
    return { kind: 'deferred', reason: `4.4.3 ${hop.host} has no ${hop.ipFamily} address` };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { kind: 'deferred', reason: `4.4.3 Cannot look up ${hop.host}: ${code ?? 'no answer'}` };
  }
}

/** Addresses of the family, or all with the preferred family first. */
export function wantedAddresses(
  wanted: IpFamily,
  found: readonly { address: string; family: number }[],
): string[] {
  const of = (family: number) => found.filter((one) => one.family === family).map(({ address }) => address);
  const order: Readonly<Record<IpFamily, readonly number[]>> = {
    Any: [6, 4],
    PreferIPv4: [4, 6],
    PreferIPv6: [6, 4],
    IPv4: [4],
    IPv6: [6],
  };
  return order[wanted].flatMap(of);
}

function literalHop(domain: string, terms: MxTerms): Resolved {
  const address = domain.slice(1, -1).replace(/^ipv6:/i, '');
  return { kind: 'hops', hops: [hopTo(address, address, 0, terms)] };
}

function hopTo(host: string, mxOf: string, priority: number, terms: MxTerms): NextHop {
  return {
    ...terms,
    host,
    mxOf,
    port: 25,
    implicitTLS: false,
    serverName: null,
    clientCertificateSecret: null,
    credentialsSecret: null,
    priority,
    // Equal preference means: at random (RFC 5321 section 5.1).
    weight: 1,
  };
}
