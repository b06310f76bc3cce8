import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { effectivePolicy } from '#crds/effective.ts';
import type { MailRelaySpec } from '#crds/mailrelay.ts';
import { changed } from '#test/fixtures/manifests.ts';
import { DkimKeys } from './dkimkeys.ts';

const dkim = ['one', 'two', 'three'].map((selector) => ({
  domain: 'example.com',
  selector,
  secretName: selector,
}));
const policy = effectivePolicy(
  { name: 'relay', namespace: 'mail' },
  changed({ outbound: { dkim } }) as unknown as MailRelaySpec,
);
const pemOf = (type: 'ed25519') =>
  generateKeyPairSync(type).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const list = (keys: DkimKeys, secrets: Readonly<Record<string, Readonly<Record<string, string>>>>) =>
  keys.list(policy, { secrets, configMaps: {} });

test('keys that can be read are told, without the private half; the others are left out', () => {
  const [keys, one] = [new DkimKeys(), pemOf('ed25519')];
  const told = list(keys, { one: { 'private.key': one }, two: { 'private.key': 'no key' } });
  assert.deepEqual(
    told.map(({ selector, type }) => [selector, type]),
    [['one', 'ed25519']],
  );
  assert.ok(!one.includes(told[0]?.publicKey ?? one));
});

test('another key in the Secret is told at the next look, and the same key again is the same', () => {
  const keys = new DkimKeys();
  const [first, second] = [pemOf('ed25519'), pemOf('ed25519')];
  const look = (pem: string) => list(keys, { one: { 'private.key': pem } })[0]?.publicKey;
  const before = look(first);
  assert.equal(look(first), before);
  assert.notEqual(look(second), before);
  assert.equal(look(first), before);
});
