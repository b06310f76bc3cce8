import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { makeAuthority } from '#test/kit/ca.ts';
import fc from '#test/kit/property.ts';
import { listFingerprints, parseAuthorities, printAuthorities } from './authoritiesfile.ts';
import { findIssuers } from './keypair.ts';

const [one, two] = [await makeAuthority(), await makeAuthority()];
const fingerprint = (pem: string) =>
  new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase();

test('the file has the fingerprint of each certificate that is published', () => {
  const text = printAuthorities(`${one.cert}\n# a comment\n${two.cert}`);
  assert.deepEqual(parseAuthorities(text), [fingerprint(one.cert), fingerprint(two.cert)].toSorted());
  assert.deepEqual(parseAuthorities(printAuthorities('')), []);
});

test('lines of any length and ends of any kind give the same fingerprint', () => {
  const [body = ''] = one.cert.replaceAll('\n', '').match(/(?<=CERTIFICATE-----)[^-]+/) ?? [];
  const pem = (lines: readonly string[], end: string) =>
    ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join(end);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 500 }), fc.constantFrom('\n', '\r\n'), (length, end) => {
      const lines = body.match(new RegExp(`.{1,${length}}`, 'g')) ?? [];
      assert.deepEqual(listFingerprints(pem(lines, end)), [fingerprint(one.cert)]);
    }),
  );
});

test('fields of a newer writer are left out, and no text makes the reader throw', () => {
  assert.deepEqual(parseAuthorities('{"format": 1, "published": ["a"], "new": true}'), ['a']);
  assert.equal(parseAuthorities('{"format": 2, "published": []}'), undefined);
  fc.assert(fc.property(fc.string(), (text) => parseAuthorities(text) === undefined));
  fc.assert(fc.property(fc.json(), (text) => Array.isArray(parseAuthorities(text) ?? [])));
});

test('the issuers of a chain are found by name and signature', async () => {
  const pair = await one.issue(['relay.mail.svc']);
  const [block = ''] = one.cert.trim().split('\n\n');
  // Both authorities have the same name.
  assert.deepEqual(findIssuers(pair.cert, `${two.cert}${one.cert}`), [block]);
  assert.deepEqual(findIssuers(pair.cert, two.cert), []);
  assert.deepEqual(findIssuers('text', 'text'), []);
});
