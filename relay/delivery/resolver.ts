/**
 * From a domain to next hops: MX in order of preference (RFC 5321 section 5.1), the domain itself where there is no
 * MX, nothing at all for a null MX (RFC 7505); and from a host to the addresses of the wanted family. A failing
 * resolver is always temporary; only the domain's own answer is final. An MX that is this relay is a loop.
 */
import type { LookupAddress } from 'node:dns';
import { lookup, resolve4, resolve6, resolveMx } from 'node:dns/promises';
import { isIP } from 'node:net';
import { type Failure, makeFailure } from '#crds/failure.ts';
import type { IpFamily, Policy } from '#crds/policyfile.ts';
import type { TlsLevel } from '#crds/tlslevel.ts';
import type { NextHop } from './courier.ts';

export type Resolved = { kind: 'hops'; hops: readonly NextHop[] } | { kind: 'none'; failure: Failure };

export type Addresses =
  | { kind: 'addresses'; addresses: readonly string[] }
  | { kind: 'none'; failure: Failure };

/** What hops of MX records share. */
export type MxTerms = Pick<Policy['outbound'], 'trustConfigMap' | 'ipFamily'> & { tlsLevel: TlsLevel };

/** Addresses of one host that are tried. */
const ADDRESSES = 4;
const NO_RECORD = new Set<unknown>(['ENODATA', 'ENOTFOUND']);
const asking = new Map<string, Promise<LookupAddress[]>>();

export async function resolveHops(domain: string, terms: MxTerms, ourName: string): Promise<Resolved> {
  if (domain.startsWith('[')) return literalHop(domain, terms);
  try {
    const records = await resolveMx(domain);
    return hopsOf(domain, records, terms, ourName);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENODATA') return implicitHop(domain, terms);
    if (code === 'ENOTFOUND') return none('5.1.2', `The domain ${domain} does not exist`);
    return none('4.4.3', `Cannot look up the MX of ${domain}: ${code ?? 'no answer'}`);
  }
}

/** Refused only where DNS says that there is neither kind of address: what it cannot say now it may say later. */
async function implicitHop(domain: string, terms: MxTerms): Promise<Resolved> {
  const answers = await Promise.allSettled([resolve4(domain), resolve6(domain)]);
  const hasNone = answers.every(
    (answer) => answer.status === 'rejected' && NO_RECORD.has((answer.reason as { code?: unknown }).code),
  );
  return hasNone
    ? none('5.4.4', `The domain ${domain} has neither an MX nor an address`)
    : { kind: 'hops', hops: [hopTo(domain, domain, 0, terms)] };
}

export function hopsOf(
  domain: string,
  records: readonly { exchange: string; priority: number }[],
  terms: MxTerms,
  ourName: string,
): Resolved {
  const sorted = records.toSorted((a, b) => a.priority - b.priority);
  if (sorted.length === 1 && sorted[0]?.exchange === '') {
    return none('5.1.10', `The domain ${domain} accepts no mail (null MX)`);
  }
  // Only hosts that are preferred over ourselves may get the mail, or it would come back.
  const own = sorted.findIndex(({ exchange }) => exchange.toLowerCase() === ourName);
  const better =
    own === -1 ? sorted : sorted.filter(({ priority }) => priority < (sorted[own]?.priority ?? 0));
  if (better.length === 0) return none('5.4.6', `The best MX of ${domain} is this relay`);
  return {
    kind: 'hops',
    hops: better.map(({ exchange, priority }) => hopTo(exchange, domain, priority, terms)),
  };
}

/** Asked anew for every connection, so that a name that moves is followed; one question at a time for each name. */
export async function addressesOf({ host, ipFamily }: NextHop): Promise<Addresses> {
  if (isIP(host) !== 0) return { kind: 'addresses', addresses: [host] };
  try {
    const addresses = wantedAddresses(ipFamily, await lookUp(host)).slice(0, ADDRESSES);
    if (addresses.length > 0) return { kind: 'addresses', addresses };
    return none('4.4.3', `${host} has no ${ipFamily} address`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return none('4.4.3', `Cannot look up ${host}: ${code ?? 'no answer'}`);
  }
}

/** As the system resolves names, /etc/hosts included. It has few threads for it, which a dead name keeps for long. */
function lookUp(host: string): Promise<LookupAddress[]> {
  const asked = asking.get(host);
  if (asked) return asked;
  const answer = lookup(host, { all: true, order: 'verbatim' }).finally(() => asking.delete(host));
  asking.set(host, answer);
  return answer;
}

/** Addresses of the family, or all with the preferred family first; Any: in the order in which they were found. */
export function wantedAddresses(wanted: IpFamily, found: readonly LookupAddress[]): string[] {
  const order: Readonly<Record<IpFamily, readonly number[][]>> = {
    Any: [[4, 6]],
    PreferIPv4: [[4], [6]],
    PreferIPv6: [[6], [4]],
    IPv4: [[4]],
    IPv6: [[6]],
  };
  const of = (families: readonly number[]) => found.filter(({ family }) => families.includes(family));
  return order[wanted].flatMap(of).map(({ address }) => address);
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
    // Equal preference deps: at random (RFC 5321 section 5.1).
    weight: 1,
  };
}

function none(status: string, text: string): { kind: 'none'; failure: Failure } {
  return { kind: 'none', failure: makeFailure({ cause: 'dns', status, text }) };
}
