/**
 * The keys with which this relay checks signatures in its own code, where no handshake bounds them. Strangers choose the
 * keys, and one check with an RSA exponent of three thousand bits stops the process for a hundredth of a second. Pure.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';

export const CHECKED_KEYS =
  'RSA of at most 8192 bits and an exponent of 64, P-256, P-384, P-521 and Edwards curves';

/** In bytes. A key with the largest modulus is shorter. To read the numbers of one with a huge exponent takes a second. */
const LONGEST_KEY = 1_200;
const MOST_RSA_BITS = 8_192;
/** As OpenSSL has it for a larger modulus. */
const LARGEST_EXPONENT = 2n ** 64n;
const CURVES: readonly unknown[] = ['prime256v1', 'secp384r1', 'secp521r1'];

export function readKey(key: Buffer): KeyObject | undefined {
  try {
    return createPublicKey({ key, format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}

/** Undefined if no signature is checked with it. */
export function readCheckedKey(spki: Buffer): KeyObject | undefined {
  const key = spki.length <= LONGEST_KEY ? readKey(spki) : undefined;
  return key && isChecked(key) ? key : undefined;
}

function isChecked(key: KeyObject): boolean {
  const { modulusLength = Number.POSITIVE_INFINITY, publicExponent, namedCurve } = readDetails(key);
  switch (key.asymmetricKeyType) {
    case 'rsa':
    case 'rsa-pss':
      return (
        modulusLength <= MOST_RSA_BITS && publicExponent !== undefined && publicExponent < LARGEST_EXPONENT
      );
    case 'ec':
      return CURVES.includes(namedCurve);
    default:
      return key.asymmetricKeyType === 'ed25519' || key.asymmetricKeyType === 'ed448';
  }
}

function readDetails(key: KeyObject): NonNullable<KeyObject['asymmetricKeyDetails']> {
  try {
    return key.asymmetricKeyDetails ?? {};
  } catch {
    return {};
  }
}
