/**
 * What a handshake proves by TLSA records. The records say which certificates count as trust anchors, and OpenSSL verifies
 * the chain up to them: signatures, dates, purposes and all constraints. No rule of certificate paths is in this program.
 */
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import { judgeCertificateError, NO_AUTHORITY } from '#crds/certificateerror.ts';
import { LONGEST_CHAIN, matchChain, type TlsaProblem } from './tlsa.ts';
import type { TlsPolicy } from './tlspolicy.ts';

interface Handshake {
  readonly policy: TlsPolicy;
  /** Those that the context trusted, and nobody else. Empty: it trusted the authorities of level Verify. */
  readonly anchors: readonly string[];
}

/** `anchors`: the records vouch for these, so a connection that trusts them alone may prove the hop. */
export interface Unproven {
  readonly problem: TlsaProblem;
  readonly anchors?: readonly string[] | undefined;
}

/** Of the hop it says nothing, so it holds only until a second connection, or the next attempt. */
const NOT_VERIFIED: TlsaProblem = {
  cause: 'connect',
  text: 'no connection has verified the chain up to its trust anchor yet',
};

/** Undefined if the hop is proven, or need not be. */
export function judgeTlsa(
  socket: TLSSocket | null,
  { policy: { trust, names }, anchors }: Handshake,
): Unproven | undefined {
  if (trust.kind !== 'tlsa') return undefined;
  const match = matchChain(socket ? listChain(socket) : [], trust.records);
  if (match.kind === 'proven') return undefined;
  if (match.kind === 'none') return match;
  if (anchors.length > 0 && socket?.authorized) return undefined;
  // One anchor that is trusted too may spoil the proof, so other anchors than those of this chain prove nothing against it.
  if (!isDeepStrictEqual(anchors, match.anchors)) return { problem: NOT_VERIFIED, anchors: match.anchors };
  // Node has the code of OpenSSL here, although its type is an Error.
  return { problem: explainChain(String(socket?.authorizationError), names) };
}

/** What the hop sent, from its certificate to the last issuer. */
function listChain(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next = socket.getPeerX509Certificate();
  // A self-signed certificate may be its own issuer. One more than counts, so that it is told.
  while (next && !chain.includes(next) && chain.length <= LONGEST_CHAIN) {
    chain.push(next);
    next = next.issuerCertificate;
  }
  return chain;
}

function explainChain(code: string, names: readonly string[]): TlsaProblem {
  const { cause, says, mayPass } = judgeCertificateError(code);
  if (cause === 'certificate-host-mismatch')
    return { cause, text: `its certificate does not name ${names.join(' or ')}` };
  if (cause === 'certificate-expired')
    return { cause, text: `a certificate of its chain ${says}`, ...(mayPass ? { mayPass } : {}) };
  const why = says === NO_AUTHORITY ? '' : `: its certificate ${says}`;
  return { cause: 'tlsa-invalid', text: `its chain does not lead to the trust anchor${why}` };
}
