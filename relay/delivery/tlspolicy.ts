/**
 * Decides the TLS policy of one connection before the connection is made: by the level of the hop, and by what its
 * domain publishes (DANE, MTA-STS). A published policy raises the level and never lowers it, and DANE comes before
 * MTA-STS. The code that connects obeys and decides nothing. Only Opportunistic ever falls back to plain text, and
 * only after a broken handshake. Pure.
 */
import { isIP } from 'node:net';
import { type Failure, makeFailure } from '#crds/failure.ts';
import {
  compareTlsLevels,
  requiresTls,
  type TlsLevel,
  type TlsVersion,
  verifiesPeer,
} from '#crds/tlslevel.ts';
import { coversMx } from '../mtasts/policy.ts';
import type { NextHop } from './courier.ts';
import { plainName } from './hostname.ts';
import type { DaneFinding, StsFinding, TlsaRecord, TlsFindings } from './tlsfindings.ts';

/**
 * Who proves the identity of the hop. none: nobody, the certificate is not checked. pkix: the authorities of a
 * ConfigMap (null: the public ones). tlsa: the TLSA records of the hop (RFC 7672), found at the name `base`.
 */
type Trust =
  | { readonly kind: 'none' }
  | { readonly kind: 'pkix'; readonly configMap: string | null }
  | { readonly kind: 'tlsa'; readonly base: string; readonly records: readonly TlsaRecord[] };

export interface TlsPolicy {
  readonly level: TlsLevel;
  /** The reason for this level, for people. */
  readonly rule: string;
  /** implicit: TLS from the first byte (RFC 8314). starttls: RFC 3207. none: plain text on purpose. */
  readonly mode: 'implicit' | 'starttls' | 'none';
  /** The SNI name (RFC 6066). null: the hop is an address. */
  readonly sni: string | null;
  /** The certificate must have one of these names. Empty: the name is not checked. */
  readonly names: readonly string[];
  readonly trust: Trust;
  /** The Secret with our client certificate. null: none. */
  readonly identity: string | null;
  readonly strength: TlsStrength;
  readonly mayFallBack: boolean;
  /** Why the connection is in plain text although TLS was wanted. null: it is not, or TLS was not wanted. */
  readonly fellBack: Failure | null;
  /** What proves the identity of the hop. null: nothing. */
  readonly verifiedBy: 'DANE' | 'MTA-STS' | 'PKIX' | null;
  /** The MX patterns of an MTA-STS policy in mode testing. Only judged, see stricterlevels.ts. */
  readonly testing: readonly string[] | null;
  /** What stricter levels would ask for. Only judged, see stricterlevels.ts. */
  readonly stricter: {
    readonly minVersion: TlsVersion;
    readonly names: readonly string[];
    readonly configMap: string | null;
    /** Why Dane would make the mail wait. null: it would not. Absent: DANE is not looked up. */
    readonly dane?: Failure | null;
  };
}

/** The weakest encryption that the connection accepts. */
interface TlsStrength {
  readonly minVersion: TlsVersion;
  /** In OpenSSL's notation. null: the default list of the runtime. */
  readonly ciphers: string | null;
  /** The size of a Diffie-Hellman group, in bits. */
  readonly minDhBits: number;
}

/**
 * Opportunistic: any encryption is better than plain text, so every cipher that encrypts is accepted, from TLS 1.0 on
 * (as Postfix's "may"). Anonymous ciphers come last, because they have no certificate that could be judged.
 */
const ANY: TlsStrength = { minVersion: 'TLSv1', ciphers: 'ALL:!eNULL:+aNULL:@SECLEVEL=0', minDhBits: 1 };
const USUAL_DH_BITS = 1024;

/** wait: no connection to this hop can meet the level now. Another hop may. */
export type TlsDecision =
  | { readonly kind: 'policy'; readonly policy: TlsPolicy }
  | { readonly kind: 'wait'; readonly failure: Failure };

/** One reason for a level. */
type Demand = Pick<TlsPolicy, 'level' | 'rule' | 'sni' | 'names' | 'trust' | 'verifiedBy'>;

interface Decided extends TlsFindings {
  readonly requireTls: boolean;
  readonly decision: TlsDecision;
}

/** The last decision for a hop. What is found for a hop of the manifest is the same value for many messages. */
const LAST = new WeakMap<NextHop, Decided>();

/** `requireTls`: the sender gave REQUIRETLS (RFC 8689). */
export function decideTls(hop: NextHop, { dane, sts }: TlsFindings, requireTls = false): TlsDecision {
  const last = LAST.get(hop);
  if (last?.dane === dane && last.sts === sts && last.requireTls === requireTls) return last.decision;
  const decision = decide(hop, { dane, sts }, requireTls);
  LAST.set(hop, { dane, sts, requireTls, decision });
  return decision;
}

function decide(hop: NextHop, { dane, sts }: TlsFindings, requireTls: boolean): TlsDecision {
  if (dane.kind === 'failed') return { kind: 'wait', failure: dane.failure };
  if (dane.kind === 'records' && isProven(hop))
    return { kind: 'policy', policy: makePolicy(hop, byDane(hop, dane), { dane, sts }) };
  if (hop.tlsLevel === 'Dane') return { kind: 'wait', failure: daneRequired(hop, dane) };
  if (sts.kind === 'unasked') return { kind: 'wait', failure: sts.failure };
  if (sts.kind === 'policy' && sts.mode === 'enforce' && !coversMx(sts.mxPatterns, plainName(hop.host)))
    return { kind: 'wait', failure: notInPolicy(hop) };
  const demands = [
    byLevel(hop, dane),
    ...byLogin(hop),
    ...byTlsa(hop, dane),
    ...bySender(hop, requireTls),
    ...bySts(hop, sts),
  ];
  // Of equal demands the later one says more of the certificate.
  const strongest = demands.reduce((best, one) => (compareTlsLevels(one.level, best.level) < 0 ? best : one));
  return { kind: 'policy', policy: makePolicy(hop, strongest, { dane, sts }) };
}

/**
 * The policy of a connection that goes on in plain text, or is made once more in plain text, because of this failure.
 * Only a policy that allows plain text gets here.
 */
export function fallBack(policy: TlsPolicy, fellBack: Failure): TlsPolicy {
  const why = fellBack.cause === 'handshake' ? 'after a handshake that broke' : 'without STARTTLS';
  return {
    ...policy,
    rule: `${policy.rule}, in plain text ${why}`,
    mode: 'none',
    mayFallBack: false,
    fellBack,
  };
}

function makePolicy(hop: NextHop, demand: Demand, { dane, sts }: TlsFindings): TlsPolicy {
  const { implicitTLS, clientCertificateSecret, minTlsVersion, trustConfigMap } = hop;
  const { level } = demand;
  return {
    ...demand,
    mode: implicitTLS ? 'implicit' : level === 'None' ? 'none' : 'starttls',
    identity: clientCertificateSecret,
    strength: level === 'Opportunistic' ? ANY : strengthFrom(minTlsVersion),
    mayFallBack: level === 'Opportunistic' && !implicitTLS,
    fellBack: null,
    testing: sts.kind === 'policy' && sts.mode === 'testing' ? sts.mxPatterns : null,
    stricter: {
      minVersion: minTlsVersion,
      names: listNames(hop),
      configMap: trustConfigMap,
      ...(dane.kind === 'off' ? {} : { dane: level === 'Dane' ? null : daneRequired(hop, dane) }),
    },
  };
}

/** What the hop's own level and login ask for. What domains and senders ask for may be more. */
export function weakestStrength({ tlsLevel, credentialsSecret, minTlsVersion }: NextHop): TlsStrength {
  const isAny = tlsLevel === 'Opportunistic' && credentialsSecret === null;
  return isAny ? ANY : strengthFrom(minTlsVersion);
}

/** OpenSSL has the versions below 1.2 at its security level 0 only. */
function strengthFrom(minVersion: TlsVersion): TlsStrength {
  const ciphers = isOldVersion(minVersion) ? 'DEFAULT:@SECLEVEL=0' : null;
  return { minVersion, ciphers, minDhBits: USUAL_DH_BITS };
}

export function isOldVersion(version: TlsVersion): boolean {
  return version === 'TLSv1' || version === 'TLSv1.1';
}

/** The floor: what the spec says for this hop. */
function byLevel(hop: NextHop, dane: DaneFinding): Demand {
  const { tlsLevel: level } = hop;
  const rule = dane.kind === 'none' ? `level ${level}, no DANE: ${dane.why}` : `level ${level}`;
  return verifiesPeer(level) ? { level, rule, ...verified(hop) } : { level, rule, ...unverified(hop) };
}

function byLogin(hop: NextHop): Demand[] {
  if (hop.credentialsSecret === null || requiresTls(hop.tlsLevel)) return [];
  const rule = `level ${hop.tlsLevel}, raised because a login is never sent in clear`;
  return [{ level: 'Encrypt', rule, ...unverified(hop) }];
}

/**
 * TLSA records that do not prove who the hop is still say that it has TLS. None is usable (RFC 7672 section 2.2): TLS
 * without verification. The MX record that names the host is not signed: the host must match its records, as Postfix
 * has it, but this proves less than level Verify.
 */
function byTlsa(hop: NextHop, dane: DaneFinding): Demand[] {
  if (dane.kind === 'records') {
    const demand = byDane(hop, dane);
    return [{ ...demand, level: 'Encrypt', rule: `${demand.rule}, ${unsignedMx(hop)}` }];
  }
  if (dane.kind !== 'unusable') return [];
  return [{ level: 'Encrypt', rule: `DANE: no TLSA record of ${dane.base} is usable`, ...unverified(hop) }];
}

/** RFC 8689 section 4.2.1: the hop must prove its name. */
function bySender(hop: NextHop, requireTls: boolean): Demand[] {
  if (!requireTls || verifiesPeer(hop.tlsLevel)) return [];
  return [{ level: 'Verify', rule: 'the sender gave REQUIRETLS', ...verified(hop) }];
}

/** RFC 8461 section 4: the policy proves the name of the MX host, so the certificate must have that name. */
function bySts(hop: NextHop, sts: StsFinding): Demand[] {
  if (sts.kind !== 'policy' || sts.mode !== 'enforce') return [];
  const rule = `the MTA-STS policy of ${hop.mxOf ?? hop.host}`;
  const trust = { kind: 'pkix', configMap: hop.trustConfigMap } as const;
  return [
    {
      level: 'Verify',
      rule,
      sni: nameInSni(hop),
      names: [plainName(hop.host)],
      trust,
      verifiedBy: 'MTA-STS',
    },
  ];
}

/**
 * RFC 7672 section 3.2.2: names count for DANE-TA only, also that which the domain is an alias of. SNI asks for the name that
 * the records were found at.
 */
function byDane(
  { host, mxOf, mxAlias }: NextHop,
  { base, records }: DaneFinding & { kind: 'records' },
): Demand {
  const names = [...new Set([base, mxOf ?? host, mxAlias ?? base].map(plainName))];
  return {
    level: 'Dane',
    rule: `DANE: TLSA records of ${base}`,
    sni: base,
    names,
    trust: { kind: 'tlsa', base, records },
    verifiedBy: 'DANE',
  };
}

function verified(hop: NextHop): Pick<Demand, 'sni' | 'names' | 'trust' | 'verifiedBy'> {
  const trust = { kind: 'pkix', configMap: hop.trustConfigMap } as const;
  return { sni: nameInSni(hop), names: listNames(hop), trust, verifiedBy: 'PKIX' };
}

function unverified(hop: NextHop): Pick<Demand, 'sni' | 'names' | 'trust' | 'verifiedBy'> {
  return { sni: nameInSni(hop), names: [], trust: { kind: 'none' }, verifiedBy: null };
}

/** True unless the name of the hop is the unproven word of an MX record. */
export function isProven({ mxOf, isMxSigned }: NextHop): boolean {
  return mxOf === undefined || isMxSigned === true;
}

function unsignedMx({ mxOf }: NextHop): string {
  return `the MX of ${mxOf} is not signed`;
}

function daneRequired(hop: NextHop, dane: DaneFinding): Failure {
  const text = `${hop.host}:${hop.port}: TLS level Dane is not met: ${explainAbsence(hop, dane)}`;
  return makeFailure({ cause: 'dane-required', status: '4.7.5', text });
}

function explainAbsence(hop: NextHop, dane: DaneFinding): string {
  switch (dane.kind) {
    case 'none':
      return dane.why;
    case 'unusable':
      return `no TLSA record of ${dane.base} is usable`;
    case 'records':
      return unsignedMx(hop);
    default:
      return 'DANE is not looked up';
  }
}

function notInPolicy({ host, port, mxOf }: NextHop): Failure {
  const text = `${host}:${port}: the MTA-STS policy of ${mxOf ?? host} does not name this host`;
  return makeFailure({ cause: 'sts-mx-mismatch', status: '4.7.5', text });
}

function nameInSni({ serverName, host }: NextHop): string | null {
  const name = plainName(serverName ?? host);
  return isIP(name) === 0 ? name : null;
}

/**
 * The names that prove the hop. A name of the manifest counts, and one that DNSSEC proves (RFC 8689 section 4.2.1). Of an
 * MX host that is not signed only a name of the domain counts, as in Postfix's "secure": anybody could forge another.
 */
function listNames(hop: NextHop): string[] {
  const { serverName, host, mxOf } = hop;
  const own = plainName(serverName ?? host);
  if (mxOf === undefined || serverName !== null) return [own];
  const domain = plainName(mxOf);
  const counts = isProven(hop) || own.endsWith(`.${domain}`);
  return counts ? [...new Set([domain, own])] : [domain];
}
