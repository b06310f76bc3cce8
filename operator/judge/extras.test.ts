/** Objects that mail does not need: whatever their failure is, it does not change Ready. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { relayObject, settledWorld } from '#test/fixtures/world.ts';
import { KubeError } from '../kube/errors.ts';
import { LABELS, type Obstacle, REFRESH } from '../world.ts';
import { judge } from './chain.ts';

const OBJECTS = ['DNSEndpoint/relay', 'PodMonitor/relay', 'PodDisruptionBudget/relay', 'NetworkPolicy/relay'];
const MARKS = [`${REFRESH}Pod/relay-0`, `${LABELS}PersistentVolumeClaim/spool-relay-0`];
const EXTRAS = [...OBJECTS, 'ConfigMap/relay-ca', ...MARKS].flatMap((object): Obstacle[] => [
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
    assert.match(message, /the words of the API server/);
  });

  test(`${obstacle.object}, ${obstacle.kind}: hides nothing of what mail needs`, () => {
    const verdicts = verdictsWith(obstacle, { kind: 'denied', object: 'Service/relay', message: 'quota' });
    assert.deepEqual([verdicts.Stalled?.reason, verdicts.Ready?.status], ['Denied', 'False']);
  });
}

for (const object of OBJECTS)
  for (const [obstacle, words] of [
    [
      { kind: 'nameTaken', object },
      /\(one of that name belongs to someone else\).*: rename or remove that one, or set /,
    ],
    [
      { kind: 'going', object },
      /\(it is being deleted, and then made anew\).*: if it stays, look for finalizers/,
    ],
    [
      { kind: 'otherInstallation', object, installation: 'a/b' },
      /\(the installation a\/b made it\).*: remove it, if nobody else needs it, or set /,
    ],
  ] as const)
    test(`${object}, ${obstacle.kind}: the note has this reason and its cure`, () => {
      const verdicts = verdictsWith(obstacle);
      assert.equal(verdicts.Ready?.status, 'True');
      assert.match(verdicts.ConfigurationSound?.message ?? '', words);
      assert.doesNotMatch(verdicts.ConfigurationSound?.message ?? '', /waits for its turn|refuses/);
    });

for (const [what, object] of [
  ['a pod that cannot be taken out of the Services', 'Pod/relay-0'],
  ['the policy', 'ConfigMap/relay-policy'],
  ['the policy of a relay with such a name', 'ConfigMap/relay-ca-policy'],
] as const) {
  test(`${what} is no extra`, () => {
    const verdicts = verdictsWith({ kind: 'denied', object, message: 'no' });
    assert.equal(verdicts.Stalled?.reason, 'Denied');
  });
}

test('where a listener has allowFrom the NetworkPolicy is needed', () => {
  const relay = relayObject({
    inbound: {
      starttls: 'Required',
      listeners: [
        { name: 'smtp', port: 25, protocol: 'SMTP', implicitTLS: false, allowFrom: [{ podSelector: {} }] },
      ],
    },
  });
  const obstacles: Obstacle[] = [{ kind: 'denied', object: 'NetworkPolicy/relay', message: 'quota' }];
  const verdicts = judge({ ...settledWorld({ relay }), obstacles });
  assert.deepEqual([verdicts.Stalled?.reason, verdicts.Ready?.status], ['Denied', 'False']);
});
