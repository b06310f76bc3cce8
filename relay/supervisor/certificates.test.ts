import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectivePolicy } from '#crds/effective.ts';
import type { MailRelaySpec } from '#crds/mailrelay.ts';
import { changed } from '#test/fixtures/manifests.ts';
import { makePair } from '#test/kit/ca.ts';
import { HOSTNAME } from '#test/kit/relayrig.ts';
import { NO_MATERIALS } from '../task/materials.ts';
import { Certificates } from './certificates.ts';

const now = new Date();
const served = await makePair();
const next = await makePair();
const policy = effectivePolicy(
  { name: 'relay', namespace: 'mail' },
  changed({ hostname: HOSTNAME }) as unknown as MailRelaySpec,
);

function look(certificates: Certificates, pair: { cert?: string; key?: string }) {
  const inputs = {
    ...{
      policy: undefined,
      scale: undefined,
      authorities: undefined,
      ...served,
      materials: NO_MATERIALS,
      tables: {},
    },
    next: { secret: 'second', cert: pair.cert, key: pair.key },
  };
  const isNew = certificates.look(inputs, policy, now);
  return { isNew, ...certificates.status(policy, now) };
}

test('the next pair is told and not served', () => {
  const certificates = new Certificates(() => undefined);
  assert.equal(look(certificates, {}).nextCertificate, null);
  const { isNew, certificate, nextCertificate } = look(certificates, next);
  assert.equal(isNew, false);
  assert.deepEqual(certificates.pairs.host, served);
  assert.equal(nextCertificate?.secret, 'second');
  assert.match(String(nextCertificate?.publicKeySha256), /^[0-9a-f]{64}$/);
  assert.notEqual(nextCertificate?.publicKeySha256, certificate?.publicKeySha256);
  assert.equal(look(certificates, {}).nextCertificate, null);
});

test('a next pair with any fault is not told', async () => {
  const certificates = new Certificates(() => undefined);
  const faults = [
    { cert: next.cert },
    { cert: next.cert, key: served.key },
    { cert: 'text', key: next.key },
    await makePair(HOSTNAME, -1),
    await makePair('other.example.com'),
  ];
  for (const pair of faults) assert.equal(look(certificates, pair).nextCertificate, null);
});
