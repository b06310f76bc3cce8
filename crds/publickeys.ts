/**
 * Which DKIM keys can sign, and the public halves of keys, as DNS records publish them. Total: never throws, and never
 * shows a private key. Pure.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  type X509Certificate,
} from 'node:crypto';
import type { PublishedDkimKey } from './podstatus.ts';

/** Length of the raw key at the end of an Ed25519 SubjectPublicKeyInfo (RFC 8410 section 4). */
const ED25519_BYTES = 32;

/** SHA-256 of the SubjectPublicKeyInfo in lower-case hex: the data of a TLSA record 3 1 1. */
export function hashPublicKey({ publicKey }: Pick<X509Certificate, 'publicKey'>): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

export type DkimKeyVerdict =
  | { kind: 'usable'; algorithm: PublishedDkimKey['type']; bits: number }
  | { kind: 'unusable'; reason: string };

/** RFC 8301 section 3.2: verifiers must not accept signatures of shorter keys. */
const RSA_BITS_AT_LEAST = 1024;
/** RFC 8032 section 5.1. */
const ED25519_BITS = 256;

/** Checks whether a private key in PEM can sign. The reason never shows the key. */
export function judgeDkimKey(pem: string): DkimKeyVerdict {
  const key = parsePrivateKey(pem);
  if (!key) return { kind: 'unusable', reason: 'it is no unencrypted private key in PEM' };
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'ed25519') return { kind: 'usable', algorithm: type, bits: ED25519_BITS };
  if (type !== 'rsa') return { kind: 'unusable', reason: `its type is ${type}, not rsa or ed25519` };
  const bits = details?.modulusLength ?? 0;
  if (bits >= RSA_BITS_AT_LEAST) return { kind: 'usable', algorithm: type, bits };
  return { kind: 'unusable', reason: `it has ${bits} bits, fewer than ${RSA_BITS_AT_LEAST} (RFC 8301)` };
}

function parsePrivateKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}

/** The public key that belongs to a private DKIM key in PEM; undefined if that cannot sign. */
export function readDkimPublicKey(pem: string): Pick<PublishedDkimKey, 'type' | 'publicKey'> | undefined {
  const judged = judgeDkimKey(pem);
  if (judged.kind === 'unusable') return undefined;
  const der = createPublicKey(pem).export({ type: 'spki', format: 'der' });
  const raw = judged.algorithm === 'ed25519' ? der.subarray(-ED25519_BYTES) : der;
  return { type: judged.algorithm, publicKey: raw.toString('base64') };
}
