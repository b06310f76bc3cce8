/** A pod that will be replaced may refuse a policy with a newer field. Only one that stays needs a person. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveObjects, podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import { reduceToKept } from '../kept.ts';
import type { KubeObject } from '../kube/client.ts';
import type { Obstacle } from '../world.ts';
import { judge } from './chain.ts';

const MESSAGE = 'inbound: Unrecognized key: "newer"';
const relay = relayObject();
const refused = { hash: 'wanted', message: MESSAGE };
const refusing = podView('relay-0', podReport(relay, { policy: { hash: 'old', refused } }));

/** Pod relay-0 refuses the policy, and is of this revision; the StatefulSet wants `new`. */
function judged(revision: string | undefined, obstacles: Obstacle[] = [], observedGeneration = 1) {
  const objects = liveObjects(relay);
  const set = objects.get('StatefulSet/relay') as KubeObject;
  const status = { observedGeneration, currentRevision: 'old', updateRevision: 'new' };
  objects.set('StatefulSet/relay', { ...set, status });
  const labels = { 'app.kubernetes.io/instance': 'relay', 'controller-revision-hash': revision ?? '' };
  const pod = { kind: 'Pod', metadata: { name: 'relay-0', namespace: 'mail', labels } };
  if (revision !== undefined)
    objects.set(
      'Pod/relay-0',
      reduceToKept(pod, () => relay),
    );
  const pods = [refusing, podView('relay-1', podReport(relay))];
  return judge({ ...settledWorld({ relay, objects, pods }), obstacles });
}

const WAITS: Obstacle = { kind: 'waitsForTurn', object: 'StatefulSet/relay' };

for (const [what, found, reason] of [
  ['waits for its turn', judged('new', [WAITS]), 'RolloutWaits'],
  ['is of the older revision', judged('old'), 'RollingOut'],
  ['has a StatefulSet that was changed just now', judged('new', [], 0), 'RollingOut'],
] as const)
  test(`a pod that refuses the policy and ${what} is no fault, and the reason is told`, () => {
    assert.equal(found.Stalled, undefined);
    const { reason: said, message = '' } = found.Reconciling ?? {};
    assert.equal(said, reason);
    assert.ok(message.includes(MESSAGE), message);
    assert.deepEqual([found.PolicyApplied?.status, found.PolicyApplied?.reason], ['False', 'PolicyRefused']);
    assert.equal(found.Ready?.status, 'False');
  });

test('a pod of the wanted revision, or of none, that refuses the policy needs a person', () => {
  for (const found of [judged('new'), judged(undefined)]) {
    assert.equal(found.Stalled?.reason, 'PolicyRefused');
    assert.ok(found.Stalled?.message.includes(MESSAGE));
  }
});

test('a rollout that waits and that no pod refuses says so alone', () => {
  const { Reconciling } = judge({ ...settledWorld({ relay }), obstacles: [WAITS] });
  assert.equal(Reconciling?.message, 'New pods wait for their turn: a few relays are replaced at a time');
});
