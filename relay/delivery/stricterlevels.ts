/**
 * What the levels above that of a connection would have said of it. Judged on the connection as it is, without any
 * consequence: the mail goes in any case. An approximation: another host of the domain, which no delivery used, might
 * have met the level. Pure.
 */
import type { X509Certificate } from 'node:crypto';
import { createSecureContext, type TLSSocket } from 'node:tls';
import { judgeCertificateError } from '#crds/certificateerror.ts';
import { type Failure, type FailureCause, makeFailure } from '#crds/failure.ts';
import { requiresTls, type TlsVersion, verifiesPeer } from '#crds/tlslevel.ts';
import { coversMx } from '../mtasts/policy.ts';
import { hasName, type NameSource } from '../task/certificatename.ts';
import { dropOldest } from '../task/oldest.ts';
import type { Judgement, NextHop } from './courier.ts';
import { plainName } from './hostname.ts';
import { isOldVersion, type TlsPolicy } from './tlspolicy.ts';

/** But for anonymous ones, the ciphers that only level Opportunistic takes: other levels have none, or find them too weak. */
const OPPORTUNISTIC_CIPHER = /CAMELLIA|CCM8/;
/** The smallest group of Diffie-Hellman at OpenSSL's usual security level, which all other levels have. */
const USUAL_DH_BITS = 2048;
/** The code of Node for a chain that is too weak. */
const WEAK = 'UNSPECIFIED';
/** Digests of less strength than OpenSSL's usual security level, by the names of OpenSSL. */
const WEAK_SIGNATURE = /md[245]|sha1(?!\d)|ripemd/i;
const MOST_SHOWN = 10;
/** Chains that are weak, and others, by their certificates: to find out costs as much as a handshake. */
const KNOWN_CHAINS = new Map<string, boolean>();
const MOST_KNOWN = 200;

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
  return { stsTesting: encrypt ?? judgeCertificate(hop, policy, [plainName(hop.host)], 'san', socket) };
}

function judgeEncrypt(hop: NextHop, policy: TlsPolicy, socket: TLSSocket): Failure | null {
  if (requiresTls(policy.level)) return null;
  const { minVersion } = policy.stricter;
  const version = socket.getProtocol() as TlsVersion | null;
  if (version === null || version < minVersion)
    return failure(hop, 'handshake', `it has ${version} only, minVersion is ${minVersion}`);
  if (!socket.getPeerX509Certificate()) return failure(hop, 'handshake', 'it has no certificate');
  const weak = takesAny(policy) ? findWeakness(socket) : undefined;
  return weak === undefined ? null : failure(hop, 'handshake', weak);
}

/** True if OpenSSL was told to take more than at the other levels, which are those of old peers where the spec says so. */
function takesAny({ level, stricter }: TlsPolicy): boolean {
  return !requiresTls(level) && !isOldVersion(stricter.minVersion);
}

function findWeakness(socket: TLSSocket): string | undefined {
  const { name } = socket.getCipher();
  if (OPPORTUNISTIC_CIPHER.test(name)) return `it chooses the cipher ${name}`;
  const { type, size = USUAL_DH_BITS } = socket.getEphemeralKeyInfo() as { type?: string; size?: number };
  return type === 'DH' && size < USUAL_DH_BITS ? `its Diffie-Hellman group has ${size} bits` : undefined;
}

function judgeVerify(hop: NextHop, policy: TlsPolicy, socket: TLSSocket): Failure | null {
  return verifiesPeer(policy.level)
    ? null
    : judgeCertificate(hop, policy, policy.stricter.names, 'any', socket);
}

function judgeCertificate(
  hop: NextHop,
  policy: TlsPolicy,
  names: readonly string[],
  source: NameSource,
  socket: TLSSocket,
): Failure | null {
  const certificate = socket.getPeerX509Certificate();
  const code =
    findError(socket) ?? (takesAny(policy) && certificate && isChainWeak(certificate) ? WEAK : null);
  if (code !== null) {
    const { cause, says } = judgeCertificateError(code);
    return failure(hop, cause, `its certificate ${says}`);
  }
  const misnamed = checkNames(names, source, certificate);
  return misnamed ? failure(hop, 'certificate-host-mismatch', misnamed.message) : null;
}

/** Node has the code of OpenSSL here, although its type is an Error. */
function findError({ authorized, authorizationError }: TLSSocket): string | null {
  return authorized ? null : (authorizationError as unknown as string | null);
}

/** True if a key or a signature is weaker than a level that verifies accepts. */
function isChainWeak(leaf: X509Certificate): boolean {
  const chain = findChain(leaf);
  // A host that mends its chain may keep its own certificate.
  const key = chain.map(({ fingerprint256 }) => fingerprint256).join();
  const known = KNOWN_CHAINS.get(key);
  if (known !== undefined) return known;
  const isWeak = chain.some(isSignedWeakly) || !hasStrongKeys(chain);
  KNOWN_CHAINS.set(key, isWeak);
  dropOldest(KNOWN_CHAINS, MOST_KNOWN);
  return isWeak;
}

/** The issuers as OpenSSL finds them among all that the hop shows: who verifies never sees the others. */
function findChain(leaf: X509Certificate): readonly X509Certificate[] {
  const shown: X509Certificate[] = [];
  for (let one = leaf.issuerCertificate; one && shown.length < MOST_SHOWN; one = one.issuerCertificate)
    shown.push(one);
  const chain = [leaf];
  for (let last: X509Certificate | undefined = leaf; last; ) {
    const of: X509Certificate = last;
    last = shown.find((one) => !chain.includes(one) && of.checkIssued(one));
    if (last) chain.push(last);
  }
  return chain;
}

/** A certificate that signed itself proves nothing by its signature. */
function isSignedWeakly(one: X509Certificate): boolean {
  return WEAK_SIGNATURE.test(one.signatureAlgorithm ?? '') && !one.checkIssued(one);
}

/** OpenSSL looks, at its usual security level. Of own certificates it judges the keys alone. */
function hasStrongKeys(chain: readonly X509Certificate[]): boolean {
  try {
    createSecureContext({ cert: chain.map(String).join(''), ca: [] });
    return true;
  } catch {
    return false;
  }
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

function failure({ host, port }: NextHop, cause: FailureCause, text: string): Failure {
  return makeFailure({ cause, status: '4.7.5', text: `${host}:${port}: ${text}` });
}
