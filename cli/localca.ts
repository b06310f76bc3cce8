/**
 * A throw-away certificate authority for `mailrelay run`, used when the documents lack the Secret that the manifest
 * names, and for `mailrelay sink`. Its files are in the state folder, so that a restart keeps the key pair. It is meant for this machine only.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { judgePair } from '#crds/keypair.ts';
import { makeFolder } from '#relay/task/folder.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const CA_DAYS = 3650;
const LEAF_DAYS = 90;
const DAY_MS = 86_400_000;

export interface LocalPair {
  readonly cert: string;
  readonly key: string;
  /** Path of the certificate that clients trust. */
  readonly caFile: string;
}

/**
 * The key pair for the hosts, of which the first is the subject. Issues a new one if there is none, or if it expires
 * within a month.
 */
export async function localPair(stateDir: string, hosts: readonly string[]): Promise<LocalPair> {
  const dir = join(stateDir, 'local-ca');
  makeFolder(dir);
  const caFile = join(dir, 'ca.crt');
  const [cert, key] = [readTextIfPresent(join(dir, 'tls.crt')), readTextIfPresent(join(dir, 'tls.key'))];
  const judged = judgePair(cert, key, hosts, new Date(Date.now() + 30 * DAY_MS));
  if (cert && key && readTextIfPresent(caFile) && judged.kind === 'usable' && judged.warning === null)
    return { cert, key, caFile };
  const made = await issuePair(hosts);
  writeFileSync(caFile, made.ca);
  writeFileSync(join(dir, 'tls.crt'), made.cert);
  writeFileSync(join(dir, 'tls.key'), made.key, { mode: 0o600 });
  return { cert: made.cert, key: made.key, caFile };
}

/** The key of the authority is not stored, so that nobody can issue another certificate with it. */
export async function issuePair(
  hosts: readonly string[],
): Promise<{ ca: string; cert: string; key: string }> {
  const authority = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=mailrelay local CA',
    ...validity(CA_DAYS),
    keys: authority,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  });
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const names = [...new Set([...hosts, 'localhost'])];
  const cert = await x509.X509CertificateGenerator.create({
    subject: `CN=${hosts[0]}`,
    issuer: ca.subject,
    ...validity(LEAF_DAYS),
    publicKey: keys.publicKey,
    signingKey: authority.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        ...names.map((value) => ({ type: 'dns' as const, value })),
        { type: 'ip' as const, value: '127.0.0.1' },
      ]),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    ],
  });
  const key = x509.PemConverter.encode(
    await crypto.subtle.exportKey('pkcs8', keys.privateKey),
    'PRIVATE KEY',
  );
  return { ca: `${ca.toString('pem')}\n`, cert: `${cert.toString('pem')}\n`, key: `${key}\n` };
}

function validity(days: number) {
  return { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + days * DAY_MS) };
}

function readTextIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
