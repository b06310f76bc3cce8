/**
 * Checks a certificate and its key: whether they belong together, their dates and their names. A pair that cannot be
 * used (unparsable, or the key does not match) must never replace a working one. A pair with a warning (expired, soon
 * to expire, not yet valid, or other names) is used if there is no better one, and the warning is shown. Total: never
 * throws, and never quotes key material.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { CertificateFacts } from './certificatestatus.ts';
import { hashPublicKey } from './publickeys.ts';

type PairReason =
  | 'CertificateMissing'
  | 'CertificateUnreadable'
  | 'KeyMismatch'
  | 'CertificateExpired'
  | 'CertificateNotYetValid'
  | 'CertificateExpiringSoon'
  | 'HostnameNotCovered';

export type JudgedPair =
  | { kind: 'usable'; facts: CertificateFacts; warning: { reason: PairReason; message: string } | null }
  | { kind: 'unusable'; reason: PairReason; message: string };

const DAY_MS = 86_400_000;

/**
 * `cert` and `key` are the PEM texts of tls.crt and tls.key; undefined if the file is missing. `ciphers`: of the
 * connections, in OpenSSL's notation, because a security level in it allows weaker keys. null: the default.
 */
export function judgePair(
  cert: string | undefined,
  key: string | undefined,
  hosts: readonly string[],
  now: Date,
  ciphers: string | null = null,
): JudgedPair {
  if (!cert && !key)
    return unusable(
      'CertificateMissing',
      'it does not exist, or has neither tls.crt nor tls.key: create it, of type kubernetes.io/tls',
    );
  if (!cert || !key)
    return unusable(
      'CertificateMissing',
      `it lacks ${cert ? 'tls.key' : 'tls.crt'}: add it, from the same issue`,
    );
  const leaf = readCertificate(cert);
  if (!leaf) return unusable('CertificateUnreadable', 'tls.crt is not a PEM certificate: write its PEM text');
  const privateKey = readKey(key);
  if (!privateKey)
    return unusable(
      'CertificateUnreadable',
      'tls.key is not an unencrypted PEM private key: write its PEM text, without a passphrase',
    );
  if (!leaf.checkPrivateKey(privateKey)) {
    return unusable('KeyMismatch', 'tls.key does not belong to tls.crt; write both from the same issue');
  }
  const fault = faultInTls(cert, key, ciphers);
  if (fault !== undefined) {
    const cure = 'the whole chain must be readable, and RSA keys in it have 2048 bits or more';
    return unusable('CertificateUnreadable', `TLS cannot serve tls.crt: ${fault}; ${cure}`);
  }
  return { kind: 'usable', facts: readFacts(leaf), warning: findWarning(leaf, hosts, now) };
}

/**
 * The fault that OpenSSL finds in the pair or its chain. Without this check a running relay would meet it as an
 * exception.
 */
function faultInTls(cert: string, key: string, ciphers: string | null): string | undefined {
  try {
    // With a list of authorities, though empty, the public roots are not loaded.
    createSecureContext({ cert, key, ca: [], ...(ciphers === null ? {} : { ciphers }) });
    return undefined;
  } catch (error) {
    const { reason, message } = error as Error & { reason?: string };
    return reason ?? message;
  }
}

function findWarning(leaf: X509Certificate, hosts: readonly string[], now: Date) {
  if (leaf.validToDate < now) {
    return {
      reason: 'CertificateExpired' as const,
      message: `the certificate expired on ${instant(leaf.validToDate)}: renew it`,
    };
  }
  if (leaf.validFromDate > now) {
    const message = `the certificate is not valid before ${instant(leaf.validFromDate)}: check the clocks, or wait`;
    return { reason: 'CertificateNotYetValid' as const, message };
  }
  const uncovered = hosts.find((host) => leaf.checkHost(host) === undefined);
  if (uncovered !== undefined) {
    const names = readNames(leaf);
    const found = names.length === 0 ? 'names no host' : `names ${names.join(', ')}, not ${uncovered}`;
    const message = `the certificate ${found}: issue one for ${uncovered}`;
    return { reason: 'HostnameNotCovered' as const, message };
  }
  if (leaf.validToDate.getTime() - now.getTime() < warningMs(leaf)) {
    const message = `the certificate ends on ${instant(leaf.validToDate)} and was not renewed: renew it`;
    return { reason: 'CertificateExpiringSoon' as const, message };
  }
  return null;
}

/** The time before expiry from which a missing renewal is a warning: a tenth of the lifetime, at most a week. */
function warningMs({ validFromDate, validToDate }: X509Certificate): number {
  return Math.min((validToDate.getTime() - validFromDate.getTime()) / 10, 7 * DAY_MS);
}

/** The facts of the first certificate in a PEM text; undefined if it has none. */
export function readCertificateFacts(pem: string): CertificateFacts | undefined {
  const leaf = readCertificate(pem);
  return leaf && readFacts(leaf);
}

/** The names among `names` that a certificate covers. */
export function listCoveredNames(pem: string, names: readonly string[]): string[] {
  const leaf = readCertificate(pem);
  return names.filter((name) => leaf?.checkHost(name) !== undefined);
}

/** The hosts among `hosts` that a certificate proves to senders of MTA-STS, and for how long. */
export interface Coverage {
  readonly hosts: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** As RFC 8461 section 3.3 wants it: names of the SAN only, and a wildcard only for the whole left-most label. */
export function readCoverage(pem: string, hosts: readonly string[]): Coverage | undefined {
  const leaf = readCertificate(pem);
  if (!leaf) return undefined;
  const names = { subject: 'never', partialWildcards: false } as const;
  const covered = hosts.filter((host) => leaf.checkHost(host, names) !== undefined);
  return { hosts: covered, notBefore: leaf.validFromDate, notAfter: leaf.validToDate };
}

function readFacts(leaf: X509Certificate): CertificateFacts {
  return {
    serial: leaf.serialNumber,
    fingerprint: leaf.fingerprint256,
    notBefore: instant(leaf.validFromDate),
    notAfter: instant(leaf.validToDate),
    names: readNames(leaf),
    // For an empty name, as a self-signed issuer of cert-manager makes it, Node returns undefined.
    issuer: (leaf.issuer ?? '').replaceAll('\n', ', '),
    publicKeySha256: hashPublicKey(leaf),
  };
}

function readNames(leaf: X509Certificate): string[] {
  return [...(leaf.subjectAltName ?? '').matchAll(/DNS:([^,\s]+)/g)].map(([, name]) => name ?? '');
}

function instant(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z');
}

function unusable(reason: PairReason, message: string): JudgedPair {
  return { kind: 'unusable', reason, message };
}

/** The PEM blocks of the certificates in a text, as they stand there. */
export function listCertificates(pem: string | undefined): string[] {
  return pem?.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}

/** The certificates of a PEM text, encoded again so that nothing else in the text is copied; null if there is none. */
export function certificatesIn(pem: string | undefined): string | null {
  const certificates = listCertificates(pem).flatMap((block) => readCertificate(block)?.toString() ?? []);
  return certificates.length > 0 ? certificates.join('') : null;
}

/** The certificates in `authority` that issued one of the certificates in `chain`. Both are PEM texts. */
export function findIssuers(chain: string, authority: string): string[] {
  const issued = listCertificates(chain).flatMap((block) => readCertificate(block) ?? []);
  return listCertificates(authority).filter((block) => {
    const issuer = readCertificate(block);
    return issuer && issued.some((one) => one.checkIssued(issuer) && one.verify(issuer.publicKey));
  });
}

function readCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function readKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}
