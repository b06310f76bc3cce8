/**
 * Finds the next hops of a domain: MX hosts in order of preference (RFC 5321 section 5.1), the domain itself without MX
 * records, and none for a null MX (RFC 7505). Also finds the addresses of a host for the wanted IP family. A failed
 * look-up is always temporary. Only an answer of the domain itself is final. An MX that names this relay is a loop.
 */
import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { type Failure, makeFailure } from '#crds/failure.ts';
import { pickOfFamily } from '#crds/networks.ts';
import type { IpFamily, Policy } from '#crds/policyfile.ts';
import { readDomain } from '../addresses/address.ts';
import type { DnsAnswer } from '../dns/resolver.ts';
import type { Destination, NextHop } from './courier.ts';
import { isForeign, readNamedAddress } from './foreignaddress.ts';
import { plainName } from './hostname.ts';
import { explainDns, type MailNames } from './names.ts';

/** Where hops come from: MX records, the domain itself without MX records, an address literal, or the spec. */
type HopSource = 'MX' | 'domain' | 'literal' | 'manifest';

export type Resolved =
  | { kind: 'hops'; source: HopSource; hops: readonly NextHop[] }
  | { kind: 'none'; failure: Failure };

/** `isUnasked`: no name server was reached. */
export type Addresses =
  | { kind: 'addresses'; addresses: readonly string[] }
  | { kind: 'none'; failure: Failure; isUnasked?: true };

/** Settings that all hops from MX records share. */
export type MxTerms = Pick<
  NextHop,
  | 'trustConfigMap'
  | 'clientCertificateSecret'
  | 'ipFamily'
  | 'tlsLevel'
  | 'minTlsVersion'
  | 'sourceAddresses'
  | 'socksProxy'
  | 'isMxSigned'
  | 'mxAlias'
>;

type MxTermsOfRoute = Pick<
  Destination & { kind: 'mx' },
  'tlsLevel' | 'minTlsVersion' | 'sourceAddresses' | 'socksProxy'
>;

export function mxTerms(
  { tlsLevel, minTlsVersion, sourceAddresses, socksProxy }: MxTermsOfRoute,
  { trustConfigMap, clientCertificateSecret, ipFamily }: Policy['outbound'],
): MxTerms {
  return {
    tlsLevel,
    minTlsVersion,
    sourceAddresses,
    socksProxy,
    trustConfigMap,
    clientCertificateSecret,
    ipFamily,
  };
}

/** How many addresses of one host and family are kept. An attempt tries fewer (hopaddresses.ts). */
const ADDRESSES = 32;
/** How many hosts of one domain are considered. */
const MX_HOSTS = 100;
const asking = new Map<string, Promise<LookupAddress[]>>();

export async function resolveHops(
  domain: string,
  terms: MxTerms,
  ourName: string,
  names: MailNames,
): Promise<Resolved> {
  if (domain.startsWith('[')) return literalHop(domain, terms);
  // No look-up can ever find it, so its mail must not wait.
  if (readDomain(domain) === undefined) return none('5.1.2', `The domain ${domain} is no name of the DNS`);
  const answer = await names.lookUp(domain, 'MX');
  if (answer.kind === 'failed') return lookUpFailed(`the MX of ${domain}`, answer);
  const found = {
    ...terms,
    ...(answer.name === plainName(domain) ? {} : { mxAlias: answer.name }),
    ...(answer.isSigned ? { isMxSigned: true } : {}),
  };
  if (answer.kind === 'records') return findMxHops(domain, answer.records, found, ourName);
  return answer.exists
    ? implicitHop(domain, found, names)
    : none('5.1.2', `The domain ${domain} does not exist`);
}

/** Fails finally only if DNS says that neither address family exists. A failed look-up may succeed later. */
async function implicitHop(domain: string, terms: MxTerms, names: MailNames): Promise<Resolved> {
  const answers = await Promise.all([names.lookUp(domain, 'A'), names.lookUp(domain, 'AAAA')]);
  return answers.every(({ kind }) => kind === 'absent')
    ? none('5.4.4', `The domain ${domain} has neither an MX nor an address`)
    : { kind: 'hops', source: 'domain', hops: [mxHop(domain, domain, 0, terms)] };
}

export function findMxHops(
  domain: string,
  records: readonly { exchange: string; priority: number }[],
  terms: MxTerms,
  ourName: string,
): Resolved {
  const named = records.filter(({ exchange }) => exchange !== '' && exchange !== '.');
  if (named.length === 0) return none('5.1.10', `The domain ${domain} accepts no mail (null MX)`);
  const sorted = distinct(named.toSorted((a, b) => a.priority - b.priority)).slice(0, MX_HOSTS);
  // Only hosts with a better preference than ours may get the mail. Otherwise the mail would come back.
  const own = sorted.findIndex(({ exchange }) => exchange === ourName.toLowerCase());
  const better =
    own === -1 ? sorted : sorted.filter(({ priority }) => priority < (sorted[own]?.priority ?? 0));
  if (better.length === 0) return none('5.4.6', `The best MX of ${domain} is this relay`);
  return {
    kind: 'hops',
    source: 'MX',
    hops: better.map(({ exchange, priority }) => mxHop(exchange, domain, priority, terms)),
  };
}

/** Each host appears once, with its best preference, in lower case. */
function distinct(sorted: readonly { exchange: string; priority: number }[]) {
  const best = new Map<string, { exchange: string; priority: number }>();
  for (const { exchange, priority } of sorted) {
    const host = exchange.toLowerCase();
    if (!best.has(host)) best.set(host, { exchange: host, priority });
  }
  return [...best.values()];
}

/** Looks the name up for every connection, so a changed address is used at once. */
export async function findAddresses(hop: NextHop, names: MailNames): Promise<Addresses> {
  const found = await findEveryAddress(hop, names);
  return hop.sourceAddresses.length === 0 || found.kind === 'none' ? found : reachable(hop, found.addresses);
}

/** A connection between two families does not exist. */
function reachable({ host, sourceAddresses }: NextHop, found: readonly string[]): Addresses {
  const addresses = found.filter((address) => pickOfFamily(sourceAddresses, address) !== undefined);
  if (addresses.length > 0) return { kind: 'addresses', addresses };
  return none(
    '4.4.3',
    `${host} has no address that ${sourceAddresses.join(' or ')} (sourceAddresses) reaches`,
  );
}

async function findEveryAddress(hop: NextHop, names: MailNames): Promise<Addresses> {
  const { host, ipFamily, mxOf } = hop;
  if (mxOf !== undefined) return findForeign(host, ipFamily, mxOf, names);
  if (isIP(host) !== 0) return { kind: 'addresses', addresses: [host] };
  try {
    const addresses = wantedAddresses(ipFamily, await lookUp(host));
    if (addresses.length > 0) return { kind: 'addresses', addresses };
    return none('4.4.3', `${host} has no ${ipFamily} address`);
  } catch (error) {
    return none('4.4.3', `Cannot look up ${host}: ${explainDns(error)}`);
  }
}

/**
 * Finds the addresses of a host that came from DNS or from a mail address. The name is absolute, so a pod's search list
 * with a wildcard never misdirects mail. The addresses must belong to another machine.
 */
export async function findForeign(
  host: string,
  ipFamily: IpFamily,
  domain: string,
  names: MailNames,
): Promise<Addresses> {
  const named = readNamedAddress(host);
  const answers = named === undefined ? await resolveFamilies(host, ipFamily, names) : [given(named)];
  const found = answers.flatMap((answer) => (answer.kind === 'records' ? answer.records.map(literal) : []));
  const foreign = found.filter(({ address }) => isForeign(address));
  const addresses = wantedAddresses(ipFamily, foreign);
  if (addresses.length > 0) return { kind: 'addresses', addresses };
  // The family whose look-up failed may have the address.
  const failed = answers.find((answer) => answer.kind === 'failed');
  if (failed) return lookUpFailed(host, failed);
  const [first] = found;
  if (first && foreign.length === 0)
    return none(
      '5.4.4',
      `The mail host ${host} of ${domain} has an address that no mail host can have (${first.address})`,
    );
  const exists = answers.some((answer) => answer.kind === 'absent' && answer.exists);
  const why = first
    ? `it has no ${ipFamily} address`
    : exists
      ? 'the name has no address'
      : 'the name does not exist';
  return none('4.4.3', `Cannot look up ${host}: ${why}`);
}

type AddressAnswer = DnsAnswer<'A' | 'AAAA'>;

async function resolveFamilies(host: string, ipFamily: IpFamily, names: MailNames): Promise<AddressAnswer[]> {
  const asked: Promise<AddressAnswer>[] = [
    ...(ipFamily === 'IPv6' ? [] : [names.lookUp(host, 'A')]),
    ...(ipFamily === 'IPv4' ? [] : [names.lookUp(host, 'AAAA')]),
  ];
  return Promise.all(asked);
}

function given(address: string): AddressAnswer {
  return { kind: 'records', name: address, records: [address], isSigned: false };
}

function literal(address: string): LookupAddress {
  return { address, family: isIP(address) };
}

/**
 * Resolves a name as the system does, /etc/hosts included. The system has few threads for this, and a dead name blocks
 * one for long.
 */
function lookUp(host: string): Promise<LookupAddress[]> {
  const asked = asking.get(host);
  if (asked) return asked;
  const answer = lookup(host, { all: true, order: 'verbatim' }).finally(() => asking.delete(host));
  asking.set(host, answer);
  return answer;
}

/** Addresses of the wanted family, or all addresses with the preferred family first. Any: the order of the answer. */
export function wantedAddresses(wanted: IpFamily, found: readonly LookupAddress[]): string[] {
  const order: Readonly<Record<IpFamily, readonly number[][]>> = {
    Any: [[4, 6]],
    PreferIPv4: [[4], [6]],
    PreferIPv6: [[6], [4]],
    IPv4: [[4]],
    IPv6: [[6]],
  };
  // A family with many addresses must not hide the other one.
  const kept = new Set(
    [4, 6].flatMap((family) => found.filter((one) => one.family === family).slice(0, ADDRESSES)),
  );
  const of = (families: readonly number[]) =>
    found.filter((one) => families.includes(one.family) && kept.has(one));
  return order[wanted].flatMap(of).map(({ address }) => address);
}

function literalHop(domain: string, terms: MxTerms): Resolved {
  const address = domain.slice(1, -1).replace(/^ipv6:/i, '');
  if (isIP(address) === 0) return none('5.1.2', `${domain} is no address of a mail host`);
  return { kind: 'hops', source: 'literal', hops: [mxHop(address, address, 0, terms)] };
}

export function mxHop(host: string, mxOf: string, priority: number, terms: MxTerms): NextHop {
  return {
    ...terms,
    host,
    mxOf,
    port: 25,
    protocol: 'SMTP',
    implicitTLS: false,
    serverName: null,
    credentialsSecret: null,
    proxyProtocol: null,
    priority,
    // Hosts of equal preference are used in random order (RFC 5321 section 5.1).
    weight: 1,
  };
}

function none(status: string, text: string): { kind: 'none'; failure: Failure } {
  return { kind: 'none', failure: makeFailure({ cause: 'dns', status, text }) };
}

function lookUpFailed(
  what: string,
  { why, isBogus, isUnasked }: Omit<DnsAnswer<'A'> & { kind: 'failed' }, 'kind'>,
): { kind: 'none'; failure: Failure; isUnasked?: true } {
  const cause = isBogus ? 'dnssec-invalid' : 'dns';
  const status = isBogus ? '4.7.5' : '4.4.3';
  const failure = makeFailure({ cause, status, text: `Cannot look up ${what}: ${why}` });
  return { kind: 'none', failure, ...(isUnasked ? { isUnasked } : {}) };
}
