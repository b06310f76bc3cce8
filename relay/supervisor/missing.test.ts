/** What the status says of a Secret of users: that it is missing, or whose text in it cannot be read. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { effectivePolicy } from '#crds/effective.ts';
import type { MailRelaySpec } from '#crds/mailrelay.ts';
import { hashPassword } from '#crds/passwordhash.ts';
import { FEWEST_ITERATIONS } from '#crds/storedpassword.ts';
import { changed } from '#test/fixtures/manifests.ts';
import { listMissing } from './missing.ts';

const spec = changed({
  inbound: {
    listeners: [{ name: 'smtp', port: 25, auth: 'Optional' }],
    clients: { credentialsSecretName: 'users' },
  },
}) as MailRelaySpec;
const policy = effectivePolicy({ name: 'relay', namespace: 'mail' }, spec);
const missingWith = (users: Record<string, string>) =>
  listMissing(policy, { secrets: { users }, configMaps: {} });
const hash = await hashPassword('one', FEWEST_ITERATIONS);
const FIELD = 'inbound.listeners[smtp].clients.credentialsSecretName: Secret "users"';

test('users that can be read are no fault', () => {
  assert.deepEqual(missingWith({ alice: hash, list: `joe@example.com:${hash} joe@example.com\n` }), []);
});

test('a Secret that does not exist says what does not work', () => {
  assert.deepEqual(missingWith({}), [`${FIELD} does not exist or is empty: nobody can log in by password`]);
});

test('users that cannot be read are named, with the cure and without their text', () => {
  const [one, ...others] = missingWith({ alice: 'open sesame', bob: hash });
  assert.deepEqual(others, []);
  assert.equal(
    one,
    `${FIELD} has users that cannot be read (alice), who cannot log in: write for each the line of "mailrelay hash", and behind it nothing but addresses and domains`,
  );
  const [many = ''] = missingWith({ a: 'x', b: 'y', c: `${hash} no\\sender@@`, d: hash });
  assert.match(many, /cannot be read \(a and 2 more\), who/);
});

test('a long name of a user, with control characters, stays one short line', () => {
  const [said = ''] = missingWith({ list: `😀${'😀'.repeat(500)}\u001b:${hash} @@\n` });
  assert.match(said, /cannot be read \(😀+\), who/u);
  assert.ok(said.length < 350 && said.isWellFormed());
});

test('a key that a Secret lacks stands in quotes: it may be called "key"', () => {
  const forwarding = changed({
    inbound: { listeners: [{ name: 'smtp', port: 25 }], acceptDomains: ['example.com'] },
    addresses: { srs: { domain: 'example.com', secretName: 'srs' } },
  }) as MailRelaySpec;
  const secrets = { srs: { other: 'x' } };
  assert.deepEqual(
    listMissing(effectivePolicy({ name: 'relay', namespace: 'mail' }, forwarding), {
      secrets,
      configMaps: {},
    }).filter((text) => text.includes('lacks')),
    ['addresses.srs.secretName: Secret "srs" lacks the key "key": forwarded mail waits at its client (451)'],
  );
});

test('a DKIM key that cannot be read is told at once, before any mail waits for it', () => {
  const dkim = [{ domain: 'example.com', selector: 's1', secretName: 'dkim' }];
  const signing = effectivePolicy(
    { name: 'relay', namespace: 'mail' },
    changed({ outbound: { dkim } }) as unknown as MailRelaySpec,
  );
  const told = (pem: string) =>
    listMissing(signing, { secrets: { dkim: { 'private.key': pem } }, configMaps: {} });
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  assert.deepEqual(told(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()), []);
  const locked = privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' });
  for (const pem of [
    'no key',
    locked.toString(),
    publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  ])
    assert.deepEqual(told(pem), [
      'outbound.dkim[0].secretName: Secret "dkim" has a private.key that cannot be used, as it is no unencrypted private key in PEM, so that mail from example.com waits: write an RSA key of 1024 bits or more, or an Ed25519 key, as PEM without a passphrase',
    ]);
});

test('so is a DKIM key that is too short to sign, and one of another type, each by what it is', () => {
  const dkim = [{ domain: 'example.com', selector: 's1', secretName: 'dkim' }];
  const signing = effectivePolicy(
    { name: 'relay', namespace: 'mail' },
    changed({ outbound: { dkim } }) as unknown as MailRelaySpec,
  );
  const told = ({ privateKey }: { privateKey: KeyObject }) => {
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    return listMissing(signing, { secrets: { dkim: { 'private.key': pem } }, configMaps: {} });
  };
  const start = 'outbound.dkim[0].secretName: Secret "dkim" has a private.key that cannot be used';
  const end =
    'so that mail from example.com waits: write an RSA key of 1024 bits or more, or an Ed25519 key,';
  assert.deepEqual(told(generateKeyPairSync('rsa', { modulusLength: 1024 })), []);
  const [short = ''] = told(generateKeyPairSync('rsa', { modulusLength: 768 }));
  assert.ok(short.startsWith(`${start}, as it has 768 bits, fewer than 1024 (RFC 8301), ${end}`), short);
  const [other = ''] = told(generateKeyPairSync('ec', { namedCurve: 'P-256' }));
  assert.ok(other.startsWith(`${start}, as its type is ec, not rsa or ed25519, ${end}`), other);
});
