/**
 * The public halves of keys, as DNS records publish them. A key that cannot be read is undefined. Total: never throws,
 * and never shows a private key. Pure.
 */
import { createHash, createPrivateKey, createPublicKey, type X509Certificate } from 'node:crypto';
import type { PublishedDkimKey } from './podstatus.ts';

/** Length of the raw key at the end of an Ed25519 SubjectPublicKeyInfo (RFC 8410 section 4). */
const ED25519_BYTES = 32;

/** SHA-256 of the SubjectPublicKeyInfo in lower-case hex: the data of a TLSA record 3 1 1. */
export function hashPublicKey({ publicKey }: Pick<X509Certificate, 'publicKey'>): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

/** The public key that belongs to a private DKIM key in PEM. */
export function readDkimPublicKey(pem: string): Pick<PublishedDkimKey, 'type' | 'publicKey'> | undefined {
  try {
    const key = createPublicKey(createPrivateKey(pem));
    const der = key.export({ type: 'spki', format: 'der' });
    switch (key.asymmetricKeyType) {
      case 'rsa':
        return { type: 'rsa', publicKey: der.toString('base64') };
      case 'ed25519':
        return { type: 'ed25519', publicKey: der.subarray(-ED25519_BYTES).toString('base64') };
      default:
        return undefined;
    }
  } catch {
    return undefined;
  }
}
