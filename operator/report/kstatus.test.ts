/** How tools read our status by the rules of kstatus (sigs.k8s.io/cli-utils), for a table of worlds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MailRelayStatus, mailRelayStatus } from '#crds/status.ts';
import { liveObjects, podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import { kstatus, type Verdict } from '#test/kit/kstatus.ts';
import type { Judged } from '../judge/finding.ts';
import { KubeError } from '../kube/errors.ts';
import { renderStatus } from './status.ts';

const relay = relayObject();
const both = (changes: Parameters<typeof podReport>[1]) => ({
  pods: [0, 1].map((n) => podView(`relay-${n}`, podReport(relay, changes))),
});

const none = relayObject({ replicas: 0 });
const withoutPods = new Map(
  [...liveObjects(none)].map(([name, object]) => [
    name,
    object.kind === 'StatefulSet' ? { ...object, status: { observedGeneration: 1, replicas: 0 } } : object,
  ]),
);

const TABLE: readonly [string, Partial<Judged>, Verdict][] = [
  ['a new MailRelay', { pods: [], objects: new Map() }, 'InProgress'],
  ['all as wanted', {}, 'Current'],
  ['no pods wanted', { relay: none, pods: [], objects: withoutPods }, 'Current'],
  ['a pod that is missing', { pods: [podView('relay-0', podReport(relay))] }, 'InProgress'],
  ['a policy on its way', both({ policy: { hash: 'old', refused: null } }), 'InProgress'],
  ['a policy refused', both({ policy: { hash: 'old', refused: { hash: 'x', message: 'no' } } }), 'Failed'],
  ['a name taken', { obstacles: [{ kind: 'nameTaken', object: 'Service/relay' }] }, 'Failed'],
  ['a quota', { obstacles: [{ kind: 'denied', object: 'Service/relay', message: 'no' }] }, 'Failed'],
  [
    'a write that fails',
    { obstacles: [{ kind: 'failed', object: 'Service/relay', error: new KubeError('failed', 'no', 500) }] },
    'InProgress',
  ],
  ['a spec that breaks a rule', { faults: [{ path: 'spec', message: 'no' }], policy: undefined }, 'Failed'],
  [
    'no certificate, and nobody who was asked for one',
    both({ certificate: null, certificateProblem: { reason: 'CertificateMissing', message: 'none' } }),
    'Failed',
  ],
  [
    'a certificate that expired and is served',
    both({ certificateProblem: { reason: 'CertificateExpired', message: 'yesterday' } }),
    'Current',
  ],
];

for (const [what, changes, verdict] of TABLE) {
  test(`kstatus: ${what} is ${verdict}`, () => {
    const world: Judged = { obstacles: [], ...settledWorld(changes), ...changes };
    const status: MailRelayStatus = renderStatus(world);
    assert.equal(kstatus({ ...world.relay, status }), verdict);
    assert.equal(status.observedGeneration, world.relay.metadata.generation);
    const conditions = status.conditions ?? [];
    assert.ok(
      conditions.some(({ type }) => type === 'Ready'),
      'Ready is always there',
    );
    for (const { observedGeneration, message, reason } of conditions) {
      assert.equal(observedGeneration, world.relay.metadata.generation);
      assert.ok(message.length > 0 && reason.length > 0);
    }
    for (const type of ['Reconciling', 'Stalled'])
      assert.notEqual(conditions.find((one) => one.type === type)?.status, 'False', `${type} is removed`);
  });
}

test('kstatus: an edit that was not looked at yet is InProgress', () => {
  const world = { ...settledWorld(), obstacles: [] };
  const status = renderStatus(world);
  const edited = { ...relay, metadata: { ...relay.metadata, generation: 4 }, status };
  assert.equal(kstatus(edited), 'InProgress');
});

test('a certificate with more names than the schema takes does not cost the status', () => {
  const { certificate } = podReport(relay);
  const names = Array.from({ length: 250 }, (_, n) => `host-${n}.example.com`);
  const pods = both({ certificate: certificate && { ...certificate, names } });
  const status = renderStatus({ ...settledWorld(pods), obstacles: [] });
  assert.deepEqual(mailRelayStatus.parse(status), status);
});
