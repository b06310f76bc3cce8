/**
 * What reports to domains say of a session with an MX host (RFC 8460): made from the TLS decision and from the result of a
 * new connection. Sessions that are used again are not new. Pure.
 */
import { isIP } from 'node:net';
import type { Failure } from '#crds/failure.ts';
import type { HopTls, NextHop, TlsReason } from './courier.ts';
import { plainName } from './hostname.ts';
import { NO_FINDINGS, type StsFinding, type TlsFindings } from './tlsfindings.ts';
import { isProven, type TlsPolicy } from './tlspolicy.ts';

export type { TlsFindings } from './tlsfindings.ts';

/** One new session with an MX host, or none because of TLS, for reports to its domain (RFC 8460). */
export interface TlsSession {
  /** In lower case and ASCII. */
  readonly domain: string;
  readonly mxHost: string;
  /** null: there was no connection. */
  readonly address: string | null;
  /** Without those that did not count. */
  readonly findings: TlsFindings;
  /** null: it was encrypted as the policy wants it. */
  readonly failure: Failure | null;
}

/** The part of the result of a new connection that tells of TLS. */
type Connected =
  | {
      readonly kind: 'answered';
      readonly tls: HopTls | null;
      readonly policy?: TlsReason;
    }
  | { readonly kind: 'unreachable'; readonly failure: Failure; readonly hadSession: boolean };

/** The hop gets no connection, because no TLS policy can be met. Undefined if no domain named the hop. */
export function refusedSession(
  hop: NextHop,
  findings: TlsFindings,
  failure: Failure,
): TlsSession | undefined {
  return describeSession(hop, heldTo(hop, findings, { failure }), { address: null, failure });
}

/** Undefined if the hop belongs to no domain, or if TLS was not wanted. */
export function newSession(
  { hop, policy }: { readonly hop: NextHop; readonly policy: Pick<TlsPolicy, 'verifiedBy'> },
  findings: TlsFindings,
  address: string,
  result: Connected,
): TlsSession | undefined {
  const read = readFailure(result);
  if (read === undefined) return undefined;
  const tested = result.kind === 'answered' ? result.policy?.stsTesting : undefined;
  const isVerified = policy.verifiedBy === 'PKIX';
  const held = heldTo(hop, findings, { failure: read, isTested: tested !== undefined, isVerified });
  return describeSession(hop, held, { address, failure: read ?? findTested(held, tested) });
}

/** What became of a session, as far as it says which policy counted. */
interface Came {
  readonly failure: Failure | null;
  /** A policy in mode testing was judged. */
  readonly isTested?: boolean;
  /** The level of the spec, or the sender, asked for more than the domain does. */
  readonly isVerified?: boolean;
}

/**
 * The policy that counted, as delivery has it: DANE before MTA-STS, and at level Dane no MTA-STS at all. Records that nobody can
 * use, or that no signed MX leads to, ask for less than MTA-STS does: where the domain has a policy, they count only if they
 * made a connection fail that this policy would not have held back, or if nobody judged by it.
 */
function heldTo(hop: NextHop, { dane, sts }: TlsFindings, came: Came): TlsFindings {
  if (came.failure?.cause === 'dane-required') return { dane, sts: NO_FINDINGS.sts };
  const isLess = dane.kind === 'unusable' || (dane.kind === 'records' && !isProven(hop));
  return isLess && countsMore(sts, came) ? { dane: NO_FINDINGS.dane, sts } : { dane, sts };
}

function countsMore(sts: StsFinding, { failure, isTested = false, isVerified = false }: Came): boolean {
  switch (sts.kind === 'policy' ? sts.mode : sts.kind) {
    case 'enforce':
      return true;
    case 'testing':
      return isVerified || (failure === null && isTested);
    case 'failed':
      return isVerified || failure === null;
    default:
      return false;
  }
}

/** A policy of MTA-STS in mode testing holds no mail back, but the domain wants to hear what would have. */
function findTested({ dane, sts }: TlsFindings, tested: Failure | null | undefined): Failure | null {
  const isPolicy = sts.kind === 'policy' && sts.mode === 'testing' && dane.kind !== 'records';
  return isPolicy ? (tested ?? null) : null;
}

/** Undefined: plain text on purpose. */
function readFailure(result: Connected): Failure | null | undefined {
  if (result.kind === 'unreachable') return result.hadSession ? null : result.failure;
  const fellBack = result.policy?.fellBack;
  if (fellBack) return fellBack;
  return result.tls === null ? undefined : null;
}

function describeSession(
  { host, mxOf }: NextHop,
  findings: TlsFindings,
  facts: Pick<TlsSession, 'address' | 'failure'>,
): TlsSession | undefined {
  if (mxOf === undefined || isIP(mxOf) !== 0) return undefined;
  return { domain: plainName(mxOf), mxHost: plainName(host), findings, ...facts };
}
