/**
 * What the levels above that of a connection would have said of it. Judged on the connection as it is, without any
 * consequence: the mail goes in any case. An approximation: another host of the domain, which no delivery used, might
 * have met the level. Pure.
 */
import { checkServerIdentity, type PeerCertificate, type TLSSocket } from 'node:tls';
import { type Failure, type FailureCause, makeFailure } from '#crds/failure.ts';
import { requiresTls, type TlsVersion, verifiesPeer } from '#crds/tlslevel.ts';
import { coversMx } from '../mtasts/policy.ts';
import { nameCertificateCause } from './connectfailure.ts';
import type { Judgement, NextHop } from './courier.ts';
import { plainName } from './hostname.ts';
import type { TlsPolicy } from './tlspolicy.ts';

/** Level None tries no TLS, so nothing is known of the hop. */
export function judgeStricter(hop: NextHop, policy: TlsPolicy, socket: TLSSocket | null): Judgement {
  const { fellBack, stricter } = policy;
  if (fellBack) return { Encrypt: fellBack, Verify: fellBack, Dane: fellBack };
  if (!socket) return {};
  const encrypt = judgeEncrypt(hop, policy, socket);
  const dane = stricter.dane === undefined ? {} : { Dane: stricter.dane && (encrypt ?? stricter.dane) };
  return { Encrypt: encrypt, Verify: encrypt ?? judgeVerify(hop, policy, socket), ...dane };
}

/** What an MTA-STS policy in mode testing would have said in mode enforce (RFC 8461 section 5). */
export function judgeTesting(
  hop: NextHop,
  { testing, fellBack }: TlsPolicy,
  socket: TLSSocket | null,
): { stsTesting?: Failure | null } {
  if (testing === null) return {};
  if (!coversMx(testing, plainName(hop.host)))
    return { stsTesting: failure(hop, 'sts-mx-mismatch', 'the MTA-STS policy does not name this host') };
  if (!socket) return { stsTesting: fellBack ?? failure(hop, 'starttls-missing', 'TLS is not tried') };
  return { stsTesting: judgeCertificate(hop, [plainName(hop.host)], socket) };
}

function judgeEncrypt(hop: NextHop, { level, stricter }: TlsPolicy, socket: TLSSocket): Failure | null {
  if (requiresTls(level)) return null;
  const version = socket.getProtocol() as TlsVersion | null;
  if (version === null || version < stricter.minVersion)
    return failure(hop, 'handshake', `it has ${version} only, minVersion is ${stricter.minVersion}`);
  return hasCertificate(socket) ? null : failure(hop, 'handshake', 'it has no certificate');
}

function judgeVerify(hop: NextHop, { level, stricter }: TlsPolicy, socket: TLSSocket): Failure | null {
  return verifiesPeer(level) ? null : judgeCertificate(hop, stricter.names, socket);
}

function judgeCertificate(hop: NextHop, names: readonly string[], socket: TLSSocket): Failure | null {
  // Node has the code of OpenSSL here, although its type is an Error.
  const code = socket.authorizationError as unknown as string | null;
  if (!socket.authorized && code) return failure(hop, nameCertificateCause(code), `its certificate: ${code}`);
  const misnamed = checkNames(names, socket.getPeerCertificate());
  return misnamed ? failure(hop, 'certificate-host-mismatch', misnamed.message) : null;
}

/** Accepts the certificate if one of the names matches. Otherwise returns the error of the first name. */
export function checkNames(names: readonly string[], certificate: PeerCertificate): Error | undefined {
  const errors = names.map((name) => checkServerIdentity(name, certificate));
  return errors.includes(undefined) ? undefined : errors[0];
}

function hasCertificate(socket: TLSSocket): boolean {
  return Object.keys(socket.getPeerCertificate()).length > 0;
}

function failure({ host, port }: NextHop, cause: FailureCause, text: string): Failure {
  return makeFailure({ cause, status: '4.7.5', text: `${host}:${port}: ${text}` });
}
