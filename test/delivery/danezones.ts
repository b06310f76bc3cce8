/** What the destinations of dane.story.ts are made of: hops, TLSA records, zones. */
import type { Pair } from '#test/kit/ca.ts';
import type { Zone } from '#test/kit/dnstree.ts';
import { tlsaRecord } from '#test/kit/tlsarecord.ts';

/** `lower` to `clients` have an issuer between their certificate and the root. */
type Lower = 'lower' | 'tooLow' | 'excluded' | 'clients';
/** `target`: its certificate names what a domain is an alias of. `bare`: it does not send its authority. */
export type HopName =
  | 'right'
  | 'other'
  | 'expired'
  | 'misnamed'
  | 'plain'
  | 'strips'
  | 'target'
  | 'bare'
  | Lower;
export const ADDRESSES: Readonly<Record<HopName, string>> = {
  right: '192.0.2.1',
  other: '192.0.2.2',
  expired: '192.0.2.3',
  misnamed: '192.0.2.4',
  plain: '192.0.2.5',
  strips: '192.0.2.6',
  lower: '192.0.2.10',
  tooLow: '192.0.2.11',
  excluded: '192.0.2.12',
  clients: '192.0.2.13',
  target: '192.0.2.14',
  bare: '192.0.2.15',
};

/** verified: the certificate proved who the hop is. encrypted: it did not, or did not have to. */
export type Outcome = 'verified' | 'encrypted' | 'plain' | 'waits' | 'returned';

export interface Case {
  readonly domain: string;
  /** What it publishes, for the table. */
  readonly what: string;
  readonly expected: Outcome;
  /** The level of the spec is Dane (Postfix: dane-only). */
  readonly floor?: true;
  /** By zone, without "IN". `@` is the domain, `mx` its mail host. */
  readonly records: Readonly<Record<string, readonly string[]>>;
}

interface Certificates {
  readonly authority: string;
  /** That of the hops with an issuer in between. */
  readonly root: string;
  readonly pairs: Readonly<Partial<Record<HopName, Pick<Pair, 'cert'>>>>;
}

/** The data of a TLSA record for the certificate of a hop, or for an authority. */
export function makeTlsa({ pairs, ...authorities }: Certificates) {
  return (
    usage: number,
    selector: number,
    matching: number,
    whose: HopName | keyof typeof authorities = 'right',
  ) => {
    const isAuthority = whose === 'authority' || whose === 'root';
    const certificate = isAuthority ? authorities[whose] : (pairs[whose]?.cert ?? '');
    const { data } = tlsaRecord(certificate, usage, selector, matching);
    return `${usage} ${selector} ${matching} ${data}`;
  };
}

export const SIGNED = 'signed.example';
/** A domain whose certificate names itself alone, and not its host. */
export const NAMED = `domain.${SIGNED}`;
/** What domains are aliases of. */
export const TARGETS = [`d-one.${SIGNED}`, `d-two.${SIGNED}`, `d-three.${SIGNED}`] as const;

/** One TLSA set that no client can want. Unbound does not validate so long a set, so it is bogus. */
const BIG = Array.from({ length: 1_000 }, (_, index) => `3 1 1 ${index.toString(16).padStart(64, '0')}`);
export const BIG_DOMAIN = `big.${SIGNED}`;

export function makeZones(cases: readonly Case[]): Zone[] {
  const states: Readonly<Record<string, Zone['state']>> = {
    example: 'signed',
    [SIGNED]: 'signed',
    'unsigned.example': 'unsigned',
    'bogus.example': 'bogus',
    'expired.example': 'expired',
    'lame.example': 'lame',
  };
  const big = [
    `${BIG_DOMAIN}. MX 10 mx.${BIG_DOMAIN}.`,
    `mx.${BIG_DOMAIN}. A ${ADDRESSES.right}`,
    ...BIG.map((data) => `_25._tcp.mx.${BIG_DOMAIN}. TLSA ${data}`),
  ];
  return Object.entries(states).map(([name, state]) => ({
    name,
    state,
    records: [...cases.flatMap(({ records }) => records[name] ?? []), ...(name === SIGNED ? big : [])],
  }));
}
