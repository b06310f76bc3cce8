/**
 * What the levels above that of a connection would have said of it. Judged on the connection as it is, without any
 * consequence: the mail goes in any case. An approximation: another host of the domain, which no delivery used, might
 * have met the level. Pure.
 */
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { judgeCertificateError } from '#crds/certificateerror.ts';
import { type Failure, type FailureCause, makeFailure } from '#crds/failure.ts';
import { requiresTls, type TlsVersion, verifiesPeer } from '#crds/tlslevel.ts';
import { coversMx } from '../mtasts/policy.ts';
import { hasName, type NameSource } from '../task/certificatename.ts';
import type { Judgement, NextHop } from './courier.ts';
import { plainName } from './hostname.ts';
import type { TlsPolicy } from './tlspolicy.ts';

/** Level None tries no TLS, so nothing is known of the hop. Of Dane nothing is known where DANE is not looked up. */
export function judgeStricter(hop: NextHop, policy: TlsPolicy, socket: TLSSocket | null): Judgement {
  const { fellBack, stricter } = policy;
  if (!fellBack && !socket) return {};
  const encrypt = fellBack ?? (socket && judgeEncrypt(hop, policy, socket));
  const verify = encrypt ?? (socket && judgeVerify(hop, policy, socket));
  const dane = stricter.dane === undefined ? {} : { Dane: stricter.dane && (encrypt ?? stricter.dane) };
  return { Encrypt: encrypt, Verify: verify, ...dane };
}

/** What an MTA-STS policy in mode testing would have said in mode enforce (RFC 8461 section 5). */
export function judgeTesting(
  hop: NextHop,
  policy: TlsPolicy,
  socket: TLSSocket | null,
): { stsTesting?: Failure | null } {
  const { testing, fellBack } = policy;
  if (testing === null) return {};
  if (!coversMx(testing, plainName(hop.host)))
    return { stsTesting: failure(hop, 'sts-mx-mismatch', 'the MTA-STS policy does not name this host') };
  if (!socket) return { stsTesting: fellBack ?? failure(hop, 'starttls-missing', 'TLS is not tried') };
  const encrypt = judgeEncrypt(hop, policy, socket);
  return { stsTesting: encrypt ?? judgeCertificate(hop, [plainName(hop.host)], 'san', socket) };
}

function judgeEncrypt(hop: NextHop, { level, stricter }: TlsPolicy, socket: TLSSocket): Failure | null {
  if (requiresTls(level)) return null;
  const version = socket.getProtocol() as TlsVersion | null;
  if (version === null || version < stricter.minVersion)
    return failure(hop, 'handshake', `it has ${version} only, minVersion is ${stricter.minVersion}`);
  return hasCertificate(socket) ? null : failure(hop, 'handshake', 'it has no certificate');
}

function judgeVerify(hop: NextHop, { level, stricter }: TlsPolicy, socket: TLSSocket): Failure | null {
  return verifiesPeer(level) ? null : judgeCertificate(hop, stricter.names, 'any', socket);
}

function judgeCertificate(
  hop: NextHop,
  names: readonly string[],
  source: NameSource,
  socket: TLSSocket,
): Failure | null {
  // Node has the code of OpenSSL here, although its type is an Error.
  const code = socket.authorizationError as unknown as string | null;
  if (!socket.authorized && code) {
    const { cause, says } = judgeCertificateError(code);
    return failure(hop, cause, `its certificate ${says}`);
  }
  const misnamed = checkNames(names, source, socket.getPeerX509Certificate());
  return misnamed ? failure(hop, 'certificate-host-mismatch', misnamed.message) : null;
}

/** Accepts the certificate if one of the names matches, or if there is none to match. The error has the code of Node. */
export function checkNames(
  names: readonly string[],
  source: NameSource,
  certificate: X509Certificate | undefined,
): Error | undefined {
  const [first] = names;
  if (first === undefined) return undefined;
  if (certificate && names.some((name) => hasName(certificate, name, source))) return undefined;
  const own = certificate?.subjectAltName ?? 'none';
  const error = new Error(`Host: ${first}. is not in the cert's altnames: ${own}`);
  return Object.assign(error, { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
}

function hasCertificate(socket: TLSSocket): boolean {
  return socket.getPeerX509Certificate() !== undefined;
}

function failure({ host, port }: NextHop, cause: FailureCause, text: string): Failure {
  return makeFailure({ cause, status: '4.7.5', text: `${host}:${port}: ${text}` });
}
