/** A queue that nobody has told of is not called healthy. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Condition } from '#crds/status.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { liveObjects, podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject } from '../kube/client.ts';
import type { World } from '../world.ts';
import { judge } from './chain.ts';

const relay = relayObject();
const told = (name: string) => podView(name, podReport(relay));
const away = (name: string, changes: Parameters<typeof podView>[2] = {}) =>
  podView(name, undefined, { ready: false, ...changes });

function claim(ordinal: number, phase = 'Bound', mark?: string): KubeObject {
  const annotations = mark === undefined ? {} : { [ANNOTATIONS.emptied]: mark };
  const metadata = { name: `spool-relay-${ordinal}`, namespace: 'mail', annotations };
  return { kind: 'PersistentVolumeClaim', metadata, status: { phase } };
}

function objectsWith(claims: readonly KubeObject[], setStatus: object = {}): Map<string, KubeObject> {
  const objects = liveObjects(relay);
  for (const one of claims) objects.set(`${one.kind}/${one.metadata.name}`, one);
  const set = objects.get('StatefulSet/relay') as KubeObject;
  const status = { ...(set['status'] as object), ...setStatus };
  return objects.set('StatefulSet/relay', { ...set, status });
}

const TWO = objectsWith([claim(0), claim(1)]);
const ROLLING = objectsWith([claim(0), claim(1)], { currentRevision: 'a', updateRevision: 'b' });

/** The relay with the verdict of the look before. */
function after(status: Condition['status'], of = relay) {
  const lastTransitionTime = '2026-01-01T00:00:00Z';
  const condition = { type: 'QueueHealthy', status, reason: 'MailStuck', message: '', lastTransitionTime };
  return { ...of, status: { conditions: [{ ...condition, observedGeneration: 3 }] } };
}

const verdict = (changes: Partial<World>) =>
  judge({ obstacles: [], ...settledWorld({ objects: TWO, ...changes }) }).QueueHealthy;

const UNKNOWN: readonly [string, Partial<World>, string, RegExp][] = [
  ['is gone', { pods: [told('relay-0')] }, 'PodsNotReady', /queue of relay-1 is not known: let the pod run/],
  ['does not run', { pods: [told('relay-0'), away('relay-1')] }, 'PodsNotReady', /queue of relay-1 is/],
  [
    'finds no node',
    {
      pods: [
        told('relay-0'),
        away('relay-1', {
          hasRun: false,
          trouble: { reason: 'Unschedulable', message: 'no room', isStuck: false },
        }),
      ],
    },
    'PodsNotReady',
    /relay-1 is not known: pod relay-1: no room: let/,
  ],
  [
    'is ready and silent',
    { pods: [told('relay-0'), podView('relay-1', undefined)] },
    'PodsUnreachable',
    /no answer from relay-1.*port 9090/,
  ],
  [
    'leaves and is silent',
    { objects: objectsWith([claim(0), claim(1), claim(2)]), leaving: [podView('relay-2', undefined)] },
    'PodsUnreachable',
    /no answer from relay-2/,
  ],
  ['leaves and does not run', { leaving: [away('relay-2')] }, 'PodsNotReady', /queue of relay-2/],
  [
    'left its claim with mail, and none is wanted',
    { relay: relayObject({ replicas: 0 }), pods: [] },
    'PodsNotReady',
    /queues of relay-0 and relay-1 are not known: let the pods run/,
  ],
  [
    'had stuck mail before it was replaced',
    { relay: after('False'), objects: ROLLING, pods: [told('relay-0'), away('relay-1')] },
    'PodsNotReady',
    /relay-1/,
  ],
  [
    'cannot start in a rollout',
    {
      relay: after('True'),
      objects: ROLLING,
      pods: [
        told('relay-0'),
        away('relay-1', { trouble: { reason: 'ErrImagePull', message: 'no image', isStuck: true } }),
      ],
    },
    'PodsNotReady',
    /no image/,
  ],
];

const KNOWN: readonly [string, Partial<World>][] = [
  ['is replaced by a rollout', { relay: after('True'), objects: ROLLING, pods: [told('relay-0')] }],
  [
    'starts in a rollout',
    { relay: after('True'), objects: ROLLING, pods: [told('relay-0'), away('relay-1')] },
  ],
  [
    'was never there, and its claim has no volume yet',
    {
      objects: objectsWith([claim(0), claim(1, 'Pending')]),
      pods: [told('relay-0'), away('relay-1', { hasRun: false })],
    },
  ],
  ['was never there', { objects: objectsWith([claim(0)]), pods: [told('relay-0')] }],
  ['is not wanted', { relay: relayObject({ replicas: 0 }), objects: liveObjects(relay), pods: [] }],
  [
    'left with an empty queue',
    {
      objects: objectsWith([claim(0), claim(1), claim(2, 'Bound', 'uid-of-relay-2')]),
      leaving: [away('relay-2', { deleting: true })],
    },
  ],
  [
    'is away and keeps no queue',
    { relay: relayObject({ queue: { mode: 'CutThrough' } }), pods: [told('relay-0')] },
  ],
];

describe('judge: QueueHealthy', () => {
  for (const [what, changes, reason, says] of UNKNOWN)
    test(`is Unknown when a pod ${what}`, () => {
      const found = verdict(changes);
      assert.deepEqual([found?.status, found?.reason], ['Unknown', reason]);
      assert.match(found?.message ?? '', says);
    });

  for (const [what, changes] of KNOWN)
    test(`stays True when a pod ${what}`, () => {
      const found = verdict(changes);
      assert.deepEqual([found?.status, found?.reason], ['True', 'QueueMoving']);
    });
});
