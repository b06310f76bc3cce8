/**
 * What a sender says of TLS for one message (RFC 8689). REQUIRETLS: only hops that prove their name and offer
 * REQUIRETLS get the message. A hop that cannot keep this is unfit for the message, which is final for this hop, and says
 * nothing about the hop for other messages. "TLS-Required: No": what the domain publishes does not count, and the
 * configured level still does. Pure.
 */
import { type Failure, type HandshakeReason, makeFailure, tellSender } from '#crds/failure.ts';
import type { NextHop, Parcel } from './courier.ts';
import type { HopConnection } from './hopconnection.ts';
import { isUnproven } from './tlscauses.ts';
import { NO_FINDINGS, type TlsFindings } from './tlsfindings.ts';

/** Such TLS stays as it is, like a certificate. */
const WEAK: readonly unknown[] = [
  'no shared version or cipher',
  'its TLS is too weak',
] satisfies HandshakeReason[];

/**
 * The failure as it counts for this message. A host without proof, or with TLS that we refuse, is unfit; other failures may end
 * by themselves.
 */
export function judgeFor({ requireTls }: Pick<Parcel, 'requireTls'>, failure: Failure): Failure {
  const { cause, handshake, mayPass } = failure;
  const isUnfitHost = !mayPass && (isUnproven(cause) || WEAK.includes(handshake));
  return requireTls && isUnfitHost ? unfit(failure.text, tellSender(failure)) : failure;
}

/** Undefined: the hop offers REQUIRETLS. One that refused EHLO under TLS may offer it in another session. */
export function judgeOffers(
  hop: NextHop,
  connection: Pick<HopConnection, 'offers' | 'hidesOffers'>,
): Failure | undefined {
  if (connection.offers('REQUIRETLS')) return undefined;
  const failure = notOffered(hop);
  return connection.hidesOffers ? { ...failure, permanent: false, status: '4.7.30' } : failure;
}

export function notOffered({ host, port }: NextHop): Failure {
  return unfit(`${host}:${port} does not offer REQUIRETLS`);
}

/** The failure belongs to the message, and not to the hop. */
export function isUnfit({ cause }: Failure): boolean {
  return cause === 'requiretls';
}

/**
 * The message has met a host that may take others: it lacks the TLS that this one requires. Where a login is refused too, all
 * mail waits for that. A host that hangs in the handshake takes no mail at all.
 */
export function isOfDemand(
  { requireTls }: Pick<Parcel, 'requireTls'>,
  failures: readonly Failure[],
): boolean {
  const lacksTls = ({ cause, handshake, mayPass }: Failure) =>
    cause === 'requiretls' || (mayPass && isUnproven(cause)) || handshake !== undefined;
  return requireTls && failures.some(lacksTls) && !failures.some(({ cause }) => cause === 'login');
}

/** Level Dane is configured, so it stays. The message is read only if something was found. */
export async function applyWish(
  { tlsLevel }: NextHop,
  found: TlsFindings,
  { requireTls, saysTlsNotRequired }: Pick<Parcel, 'requireTls' | 'saysTlsNotRequired'>,
): Promise<TlsFindings> {
  const { dane, sts } = found;
  const isStsFound = sts.kind === 'policy' || sts.kind === 'unasked';
  const isFound = (dane.kind !== 'off' && dane.kind !== 'none') || isStsFound;
  if (requireTls || !isFound || !(await saysTlsNotRequired())) return found;
  return { dane: tlsLevel === 'Dane' ? dane : NO_FINDINGS.dane, sts: NO_FINDINGS.sts };
}

/** The sender hears no cure that is for the administrator. */
function unfit(why: string, forSender = why): Failure {
  const [text, told] = [why, forSender].map((one) => `The sender gave REQUIRETLS: ${one}`) as [
    string,
    string,
  ];
  return makeFailure({ cause: 'requiretls', status: '5.7.30', text, forSender: told });
}
