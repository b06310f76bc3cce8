import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodStatus } from '#crds/podstatus.ts';
import type { HostStep, Ladder } from '#relay/delivery/ladder.ts';
import { hopTo, policyOf } from '#test/kit/relayrig.ts';
import { describeIdentity } from './explainrunning.ts';

const connected = {
  host: 'mx.example.net',
  port: 25,
  connection: { kind: 'failed', address: null },
} as unknown as HostStep;
const ladderOf = (kind: 'found' | 'manifest', host: HostStep = connected) =>
  ({ mx: { kind }, hosts: [host] }) as unknown as Ladder;
const statusOf = (...secretsHeldBack: { destination: string; message: string }[]) =>
  ({ queue: { secretsHeldBack } }) as unknown as PodStatus;

test('a connection that may have been made with another certificate than that of the relay says so', () => {
  const policy = policyOf();
  const byMx = { ...policy, outbound: { ...policy.outbound, clientCertificateSecret: 'pair' } };
  const hop = hopTo(25, { host: 'mx.example.net', clientCertificateSecret: 'pair' });
  const byHop = { ...policy, outbound: { ...policy.outbound, smartHosts: [hop] } };
  const held = { destination: 'MX hosts', message: 'it waits' };
  for (const [one, ladder, destination] of [
    [byMx, ladderOf('found'), 'MX hosts'],
    [byHop, ladderOf('manifest'), 'mx.example.net:25'],
  ] as const) {
    assert.match(describeIdentity(one, ladder, null)[0] ?? '', /no relay was asked/);
    assert.deepEqual(describeIdentity(one, ladder, statusOf()), []);
    assert.deepEqual(describeIdentity(one, ladder, statusOf({ destination: 'other:25', message: '' })), []);
    assert.deepEqual(describeIdentity(one, ladder, statusOf({ ...held, destination })), [
      `connected with the mounted contents, and the relay is not: ${destination}: it waits`,
    ]);
  }
  // Without a certificate, or a connection, there is nothing to say.
  assert.deepEqual(describeIdentity(policy, ladderOf('found'), null), []);
  const { connection: _, ...unasked } = connected;
  assert.deepEqual(describeIdentity(byMx, ladderOf('found', unasked), null), []);
});
