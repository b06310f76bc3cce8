/** The status is written although the API server does not answer for events, which only explain it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailRelayStatus } from '#crds/status.ts';
import { recordingHands } from '#test/fixtures/hands.ts';
import { liveObjects, podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { reconcile } from './reconcile.ts';

const isEvents = ({ path }: Request) => path.endsWith('/events');

/** One pod of two is gone, and the StatefulSet has counted. */
function lackingPod() {
  const relay = relayObject();
  const objects = liveObjects(relay);
  const set = objects.get('StatefulSet/relay') as KubeObject;
  objects.set('StatefulSet/relay', { ...set, status: { observedGeneration: 1 } });
  return settledWorld({ relay, objects, pods: [podView('relay-0', podReport(relay))] });
}

const UNANSWERED: readonly [string, KubeError][] = [
  ['429', new KubeError('unavailable', 'too many requests', 429, 1)],
  ['503', new KubeError('unavailable', 'no', 503)],
  ['nothing in time', new KubeError('unavailable', 'The operation was aborted due to timeout')],
];

for (const [what, error] of UNANSWERED)
  test(`events that are answered by ${what} keep no status back, and are read again`, async () => {
    const hands = recordingHands((request) => {
      if (isEvents(request)) throw error;
      return {};
    });
    const { lookAgainMs } = await reconcile(lackingPod(), hands);
    const written = hands.requests.find(({ path }) => path.endsWith('/status')) as Request;
    const { status } = written.body as { status: MailRelayStatus };
    const ready = status.conditions?.find(({ type }) => type === 'Ready');
    assert.deepEqual([ready?.status, ready?.reason], ['False', 'PodsNotReady']);
    assert.equal(lookAgainMs, 30_000);
  });

test('events are not waited for longer than some seconds', async () => {
  const hands = recordingHands(() => ({}));
  await reconcile(lackingPod(), hands);
  const { timeoutMs = Number.POSITIVE_INFINITY, isDispensable } = hands.requests.find(isEvents) as Request;
  assert.ok(timeoutMs <= 3_000, `${timeoutMs} ms`);
  assert.ok(isDispensable, 'their absence is none of the API server');
});
