/**
 * Finds the TLSA records of a next hop by the rules of RFC 7672 section 2.2: only DNSSEC makes them count, the address
 * of the host must be signed before they are asked for, and they may belong to the name that the host is an alias of.
 * A look-up that fails is no absence: then the mail waits. What was found for a hop of the manifest is kept until the first
 * of its answers is over.
 */
import { type FailureCause, makeFailure } from '#crds/failure.ts';
import { type Dns, type DnsAnswer, LONGEST_NAME } from '../dns/resolver.ts';
import type { NextHop } from './courier.ts';
import { readNamedAddress } from './foreignaddress.ts';
import { plainName } from './hostname.ts';
import { isLocalName } from './localnames.ts';
import { usableRecords } from './tlsa.ts';
import type { DaneFinding } from './tlsfindings.ts';

/** As Postfix: more records than a host can need are not compared. */
const MOST_RECORDS = 100;
type AddressAnswer = DnsAnswer<'A' | 'AAAA'>;
type Bases = { readonly kind: 'bases'; readonly names: readonly string[] };

export class DaneFindings {
  readonly #dns: Dns;
  readonly #clock: () => number;
  readonly #kept = new WeakMap<NextHop, { readonly finding: DaneFinding; readonly until: number }>();

  /** `clock`: that of the DNS. */
  constructor(dns: Dns, clock: () => number) {
    this.#dns = dns;
    this.#clock = clock;
  }

  find(hop: NextHop): DaneFinding | Promise<DaneFinding> {
    // A hop out of MX records is made for one delivery.
    if (hop.mxOf !== undefined) return findDane(hop, this.#dns);
    const kept = this.#kept.get(hop);
    return kept && this.#clock() < kept.until ? kept.finding : this.#find(hop);
  }

  async #find(hop: NextHop): Promise<DaneFinding> {
    let until = Number.POSITIVE_INFINITY;
    const finding = await findDane(hop, {
      lookUp: async (name, type) => {
        const answer = await this.#dns.lookUp(name, type);
        until = Math.min(until, answer.kind === 'failed' ? 0 : (answer.until ?? 0));
        return answer;
      },
    });
    // Which names are local changes with resolv.conf: a finding without answers has no time, and is not kept.
    if (until !== Number.POSITIVE_INFINITY) this.#kept.set(hop, { finding, until });
    return finding;
  }
}

export async function findDane(hop: NextHop, dns: Dns): Promise<DaneFinding> {
  const host = plainName(hop.host);
  if (readNamedAddress(host) !== undefined) return none(`${host} is an address, which has no TLSA record`);
  if (isLocalName(host)) return none(`${host} is a name of the cluster or of the local network`);
  const bases = await findBases(hop, host, dns);
  if (bases.kind !== 'bases') return bases;
  for (const base of bases.names) {
    const found = await findRecords(hop, base, dns);
    if (found.kind !== 'none') return found;
  }
  return none(
    `${bases.names.join(' and ')} ${bases.names.length > 1 ? 'have' : 'has'} no signed TLSA record`,
  );
}

/** The names whose TLSA records count, the best one first (RFC 7672 section 2.2.2). */
async function findBases(hop: NextHop, host: string, dns: Dns): Promise<Bases | DaneFinding> {
  const answers = await findAddresses(hop, host, dns);
  const found = answers.filter((answer) => answer.kind === 'records');
  const failed = answers.find((answer) => answer.kind === 'failed');
  const [first] = found;
  if (!first)
    return failed ? failure(hop, `the addresses of ${host}`, failed) : none(`${host} has no address`);
  const isAlias = first.name !== host;
  if (found.every(({ isSigned }) => isSigned))
    return { kind: 'bases', names: isAlias ? [first.name, host] : [host] };
  if (!isAlias) return none(`the addresses of ${host} are not signed`);
  // The alias leads to an unsigned zone. The alias itself may be signed, and then the records of its name count.
  const alias = await dns.lookUp(host, 'CNAME');
  if (alias.kind === 'failed') return failure(hop, `the alias ${host}`, alias);
  return alias.kind === 'records' && alias.isSigned
    ? { kind: 'bases', names: [host] }
    : none(`the addresses of ${host} are not signed`);
}

function findAddresses({ ipFamily }: NextHop, host: string, dns: Dns): Promise<AddressAnswer[]> {
  const types = (['A', 'AAAA'] as const).filter((type) => ipFamily !== (type === 'A' ? 'IPv6' : 'IPv4'));
  return Promise.all(types.map((type): Promise<AddressAnswer> => dns.lookUp(host, type)));
}

async function findRecords(hop: NextHop, base: string, dns: Dns): Promise<DaneFinding> {
  const name = `_${hop.port}._tcp.${base}`;
  // The name of a host may be longer than that of its TLSA records can be.
  if (name.length > LONGEST_NAME) return none('');
  const answer = await dns.lookUp(name, 'TLSA');
  if (answer.kind === 'failed') return failure(hop, `the TLSA records of ${base}`, answer);
  if (answer.kind === 'absent' || !answer.isSigned) return none('');
  if (answer.records.length > MOST_RECORDS) {
    const text = `${base} has ${answer.records.length} TLSA records, and at most ${MOST_RECORDS} are compared`;
    return failed(hop, 'tlsa-invalid', text);
  }
  const records = usableRecords(answer.records);
  return records.length > 0 ? { kind: 'records', base, records } : { kind: 'unusable', base };
}

function none(why: string): DaneFinding & { kind: 'none' } {
  return { kind: 'none', why };
}

function failure(
  hop: NextHop,
  what: string,
  { why, isBogus }: DnsAnswer<'A'> & { kind: 'failed' },
): DaneFinding {
  return failed(hop, isBogus ? 'dnssec-invalid' : 'dns', `Cannot look up ${what}: ${why}`);
}

function failed({ host, port }: NextHop, cause: FailureCause, text: string): DaneFinding {
  const status = cause === 'dns' ? '4.4.3' : '4.7.5';
  return { kind: 'failed', failure: makeFailure({ cause, status, text: `${host}:${port}: ${text}` }) };
}
