import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { readCheckedKey, readKey } from './checkedkey.ts';

/** Nobody has the private keys, and the numbers need not be right: a stranger writes what he likes. */
function rsa(bits: number, exponent: string | Buffer): KeyObject {
  const n = Buffer.alloc(bits / 8, 0xff).toString('base64url');
  const e = (typeof exponent === 'string' ? Buffer.from(exponent, 'hex') : exponent).toString('base64url');
  return createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' });
}
const ec = (namedCurve: string, paramEncoding: 'named' | 'explicit' = 'named') =>
  generateKeyPairSync('ec', { namedCurve, paramEncoding }).publicKey;

test('keys of hosts are checked, and keys that only cost time are not', () => {
  for (const [what, key, expected] of [
    ['RSA 2048', rsa(2_048, '010001'), true],
    ['RSA 8192', rsa(8_192, '010001'), true],
    ['RSA 16384', rsa(16_384, '010001'), false],
    ['an exponent of 64 bits', rsa(3_072, 'ffffffffffffffff'), true],
    ['an exponent of 65 bits', rsa(3_072, '010000000000000001'), false],
    ['an exponent of 3072 bits', rsa(3_072, Buffer.alloc(384, 0xfe)), false],
    ['an exponent that takes a second to read', rsa(3_072, Buffer.alloc(60_000, 0xfe)), false],
    ['P-256', ec('prime256v1'), true],
    ['P-384', ec('secp384r1'), true],
    ['P-521', ec('secp521r1'), true],
    ['a curve of its own', ec('sect571r1', 'explicit'), false],
    ['a binary curve', ec('sect571r1'), false],
    ['secp256k1', ec('secp256k1'), false],
    ['Ed25519', generateKeyPairSync('ed25519').publicKey, true],
    ['Ed448', generateKeyPairSync('ed448').publicKey, true],
    ['X25519', generateKeyPairSync('x25519').publicKey, false],
    ['DSA', generateKeyPairSync('dsa', { modulusLength: 1_024, divisorLength: 160 }).publicKey, false],
  ] as const) {
    const spki = key.export({ type: 'spki', format: 'der' });
    assert.ok(readKey(spki), what);
    assert.equal(readCheckedKey(spki) !== undefined, expected, what);
  }
});
