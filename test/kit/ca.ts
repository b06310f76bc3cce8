/** Throw-away certificate authorities and pairs for the tests, with any names and dates. */
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  publicExponent: new Uint8Array([1, 0, 1]),
  modulusLength: 2048,
} as const;
const DAY_MS = 86_400_000;

export interface Pair {
  readonly cert: string;
  readonly key: string;
  /** The serial number as openssl prints it. */
  readonly serial: string;
}

export interface Authority {
  /** PEM that a client trusts. */
  readonly cert: string;
  /** `rsa`: the bits of the key, or true for the usual ones. */
  issue(
    names: readonly string[],
    wish?: { from?: number; until?: number; rsa?: boolean | number },
  ): Promise<Pair>;
}

export async function makeAuthority(name = 'test CA'): Promise<Authority> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    notBefore: inDays(-400),
    notAfter: inDays(400),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });
  return {
    cert: `${certificate.toString('pem')}\n`,
    issue: async (names, { from = -1, until = 90, rsa = false } = {}) => {
      const ofRsa = typeof rsa === 'number' ? { ...RSA, modulusLength: rsa } : RSA;
      const subject = await crypto.subtle.generateKey(rsa ? ofRsa : ALGORITHM, true, ['sign', 'verify']);
      return issue(names, subject, inDays(from), inDays(until), certificate, keys.privateKey);
    },
  };
}

/** A self-signed pair. Its certificate is also its authority. */
export async function makePair(name = 'relay.example.com', days = 30): Promise<Pick<Pair, 'cert' | 'key'>> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    notBefore: new Date(Date.now() - 40 * 86_400_000),
    notAfter: new Date(Date.now() + days * 86_400_000),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }])],
  });
  const der = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { cert: cert.toString('pem'), key: x509.PemConverter.encode(der, 'PRIVATE KEY') };
}

async function issue(
  names: readonly string[],
  keys: { readonly publicKey: CryptoKey; readonly privateKey: CryptoKey },
  notBefore: Date,
  notAfter: Date,
  issuer: x509.X509Certificate,
  signingKey: CryptoKey,
): Promise<Pair> {
  const serialNumber = Buffer.from(crypto.getRandomValues(new Uint8Array(8)))
    .toString('hex')
    .replace(/^./, '4');
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber,
    subject: `CN=${names[0]}`,
    issuer: issuer.subject,
    notBefore,
    notAfter,
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns' as const, value }))),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
    ],
  });
  const key = x509.PemConverter.encode(
    await crypto.subtle.exportKey('pkcs8', keys.privateKey),
    'PRIVATE KEY',
  );
  return { cert: `${certificate.toString('pem')}\n`, key: `${key}\n`, serial: serialNumber.toUpperCase() };
}

function inDays(days: number): Date {
  return new Date(Date.now() + days * DAY_MS);
}
