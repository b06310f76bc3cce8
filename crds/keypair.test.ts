import 'reflect-metadata';
import assert from 'node:assert/strict';
import type { webcrypto } from 'node:crypto';
import { before, test } from 'node:test';
import * as x509 from '@peculiar/x509';
import { type Authority, makeAuthority, type Pair } from '#test/kit/ca.ts';
import { judgePair } from './keypair.ts';

const HOST = 'relay.example.com';
const NOW = new Date();
let authority: Authority;
let good: Pair;

before(async () => {
  authority = await makeAuthority();
  good = await authority.issue([HOST]);
});

const judge = (pair: { cert?: string; key?: string }) => judgePair(pair.cert, pair.key, [HOST], NOW);

test('judgePair takes a pair that matches, is valid and names the host', () => {
  const judged = judge(good);
  assert.equal(judged.kind, 'usable');
  assert.equal(judged.kind === 'usable' && judged.warning, null);
  assert.deepEqual(judged.kind === 'usable' && judged.facts.names, [HOST]);
  assert.equal(judged.kind === 'usable' && judged.facts.serial, good.serial);
});

test('judgePair refuses what cannot be used at all, with a reason', async () => {
  const other = await authority.issue([HOST]);
  const cases: [string, { cert?: string; key?: string }][] = [
    ['CertificateMissing', {}],
    ['CertificateMissing', { cert: good.cert }],
    ['CertificateUnreadable', { cert: 'nonsense', key: good.key }],
    ['CertificateUnreadable', { cert: good.cert, key: 'nonsense' }],
    ['KeyMismatch', { cert: good.cert, key: other.key }],
  ];
  for (const [reason, pair] of cases) {
    const judged = judge(pair);
    assert.equal(judged.kind === 'unusable' && judged.reason, reason);
  }
});

test('judgePair refuses a good pair with which no TLS could be served: a torn chain, a key of 1024 bits', async () => {
  const torn = `${good.cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`;
  const weak = await selfSigned({ ...RSA, modulusLength: 1024 });
  for (const [pair, fault] of [
    [{ cert: torn, key: good.key }, /TLS cannot serve tls\.crt: .*; the whole chain must be readable/],
    [weak, /TLS cannot serve tls\.crt: ee key too small/],
  ] as const) {
    const judged = judge(pair);
    assert.equal(judged.kind, 'unusable');
    assert.match(JSON.stringify(judged), fault);
  }
  assert.equal(judge(await selfSigned({ ...RSA, modulusLength: 2048 })).kind, 'usable');
});

test('judgePair serves a pair with a warning, and names it', async () => {
  const cases: [string, Pair][] = [
    ['CertificateExpired', await authority.issue([HOST], { from: -10, until: -1 })],
    ['CertificateNotYetValid', await authority.issue([HOST], { from: 5 })],
    ['HostnameNotCovered', await authority.issue(['other.example.com'])],
    ['CertificateExpiringSoon', await authority.issue([HOST], { from: -84, until: 6 })],
    ['CertificateExpiringSoon', await authority.issue([HOST], { from: -9.5, until: 0.5 })],
  ];
  for (const [reason, pair] of cases) {
    const judged = judge(pair);
    assert.equal(judged.kind === 'usable' && judged.warning?.reason, reason);
  }
});

test('judgePair is content with a short certificate that is not near its end, and wants every name', async () => {
  const short = judge(await authority.issue([HOST], { from: -3, until: 3 }));
  assert.equal(short.kind === 'usable' && short.warning, null);
  const judged = judgePair(good.cert, good.key, [HOST, 'relay.mail.svc'], NOW);
  assert.match(JSON.stringify(judged), /names relay\.example\.com, not relay\.mail\.svc/);
});

test('judgePair takes a certificate with empty names, as a self-signed issuer of cert-manager makes it', async () => {
  const judged = judge(await selfSigned({ name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }));
  assert.equal(judged.kind, 'usable');
  assert.equal(judged.kind === 'usable' && judged.facts.issuer, '');
});

test('judgePair never quotes key material', async () => {
  const other = await authority.issue([HOST]);
  const text = JSON.stringify([
    judge({ cert: good.cert, key: other.key }),
    judge({ cert: good.key, key: good.cert }),
  ]);
  assert.ok(!text.includes('PRIVATE KEY'));
});

const RSA = { name: 'RSASSA-PKCS1-v1_5', publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' };

/** A certificate with an empty subject, as a self-signed issuer of cert-manager makes it. */
async function selfSigned(
  algorithm: { name: string } & Record<string, unknown>,
): Promise<{ cert: string; key: string }> {
  const keys = (await crypto.subtle.generateKey(algorithm, true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: '',
    keys,
    signingAlgorithm: algorithm,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: HOST }])],
  });
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { cert: certificate.toString('pem'), key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY') };
}
