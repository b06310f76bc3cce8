/** Objects that mail does not need: whatever their failure is, it does not change Ready. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settledWorld } from '#test/fixtures/world.ts';
import { KubeError } from '../kube/errors.ts';
import { type Obstacle, REFRESH } from '../world.ts';
import { judge } from './chain.ts';

const EXTRAS = [
  'DNSEndpoint/relay',
  'PodMonitor/relay',
  'PodDisruptionBudget/relay',
  `${REFRESH}Pod/relay-0`,
].flatMap((object): Obstacle[] => [
  { kind: 'nameTaken', object },
  { kind: 'denied', object, message: 'the words of the API server' },
  { kind: 'failed', object, error: new KubeError('failed', 'the words of the API server', 500) },
]);
const verdictsWith = (...obstacles: Obstacle[]) => judge({ ...settledWorld(), obstacles });

for (const obstacle of EXTRAS) {
  test(`${obstacle.object}, ${obstacle.kind}: the relay is Ready, and it is a note with its cure`, () => {
    const verdicts = verdictsWith(obstacle);
    assert.equal(verdicts.Stalled, undefined);
    assert.equal(verdicts.Reconciling, undefined);
    assert.equal(verdicts.Ready?.status, 'True');
    const { status, reason, message = '' } = verdicts.ConfigurationSound ?? {};
    assert.deepEqual([status, reason], ['False', 'ExtraRefused']);
    assert.match(message, new RegExp(`${obstacle.object}.*: correct what refuses`));
    if (obstacle.kind !== 'nameTaken') assert.match(message, /the words of the API server/);
  });

  test(`${obstacle.object}, ${obstacle.kind}: hides nothing of what mail needs`, () => {
    const verdicts = verdictsWith(obstacle, { kind: 'denied', object: 'Service/relay', message: 'quota' });
    assert.deepEqual([verdicts.Stalled?.reason, verdicts.Ready?.status], ['Denied', 'False']);
  });
}

test('a pod that cannot be taken out of the Services is no extra', () => {
  const verdicts = verdictsWith({ kind: 'denied', object: 'Pod/relay-0', message: 'no' });
  assert.equal(verdicts.Stalled?.reason, 'Denied');
});
