/** Texts survive the form of zone files; public keys are those that OpenSSL finds. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { makeAuthority } from '#test/kit/ca.ts';
import fc from '#test/kit/property.ts';
import { printRecord, quoteText, tlsaName, tlsaValue } from './dnsrecords.ts';
import { readCertificateFacts } from './keypair.ts';
import { readDkimPublicKey } from './publickeys.ts';

/** Reads quoted strings by the rules of RFC 1035 section 5.1, without the escapes of digits. */
function unquote(text: string): string[] {
  const strings = text.match(/"(?:[^"\\]|\\.)*"/g) ?? [];
  assert.equal(strings.join(' '), text);
  return strings.map((string) => string.slice(1, -1).replaceAll(/\\(.)/g, '$1'));
}

test('any text of ASCII is cut into strings of at most 255 characters, and joined it is the same', () => {
  const ascii = fc.string({
    unit: fc.integer({ min: 32, max: 126 }).map((c) => String.fromCharCode(c)),
    maxLength: 900,
  });
  fc.assert(
    fc.property(ascii, (text) => {
      const strings = unquote(quoteText(text));
      assert.equal(strings.join(''), text);
      assert.ok(strings.every(({ length }) => length <= 255));
    }),
  );
});

test('a record is a line of a zone file for each of its values', () => {
  const digest = 'ab'.repeat(32);
  const values = [tlsaValue(digest), tlsaValue('cd'.repeat(32))];
  assert.deepEqual(printRecord({ name: tlsaName('a.example', 25), type: 'TLSA', ttl: 60, values }), [
    `_25._tcp.a.example. 60 IN TLSA 3 1 1 ${digest}`,
    `_25._tcp.a.example. 60 IN TLSA 3 1 1 ${'cd'.repeat(32)}`,
  ]);
});

const openssl = (args: readonly string[], input: string | Buffer) => execFileSync('openssl', args, { input });

for (const rsa of [false, true]) {
  test(`the hash of the public key is that of OpenSSL: ${rsa ? 'RSA' : 'ECDSA'}`, async () => {
    const authority = await makeAuthority();
    const { cert } = await authority.issue(['relay.example.com'], { rsa });
    const pem = openssl(['x509', '-pubkey', '-noout'], cert);
    const der = openssl(['pkey', '-pubin', '-outform', 'DER'], pem);
    const digest = openssl(['dgst', '-sha256', '-r'], der).toString().slice(0, 64);
    assert.equal(readCertificateFacts(cert)?.publicKeySha256, digest);
    // Of a chain the first certificate counts.
    assert.equal(readCertificateFacts(cert + authority.cert)?.publicKeySha256, digest);
  });
}

test('the public key of an RSA key is its SubjectPublicKeyInfo, in both forms of the private key', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const wanted = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  for (const type of ['pkcs1', 'pkcs8'] as const)
    assert.deepEqual(readDkimPublicKey(privateKey.export({ type, format: 'pem' }).toString()), {
      type: 'rsa',
      publicKey: wanted,
    });
});

test('the public key of an Ed25519 key is the bare key (RFC 8463 section 4)', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const { x = '' } = publicKey.export({ format: 'jwk' });
  const read = readDkimPublicKey(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  assert.deepEqual(read, { type: 'ed25519', publicKey: Buffer.from(x, 'base64url').toString('base64') });
});

test('what is no key of DKIM has no record: nothing, text, an elliptic key, an encrypted key, a public key', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = (options: object) => privateKey.export({ type: 'pkcs8', format: 'pem', ...options }).toString();
  const texts = [
    ...['', 'text', publicKey.export({ type: 'spki', format: 'pem' }).toString()],
    ...[pem({}), pem({ cipher: 'aes-256-cbc', passphrase: 'x' })],
  ];
  for (const text of texts) assert.equal(readDkimPublicKey(text), undefined);
});
