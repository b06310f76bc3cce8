import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PodStatus } from '#crds/podstatus.ts';
import { scaleOrder } from '#crds/scalefile.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { liveObjects, podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject } from '../kube/client.ts';
import { managedLabels } from '../render/metadata.ts';
import type { PodView, World } from '../world.ts';
import { judge } from './chain.ts';
import { planScaling } from './scaling.ts';

const relay = relayObject();

function claim(ordinal: number, mark?: string, changes: Partial<KubeObject['metadata']> = {}): KubeObject {
  const annotations = mark === undefined ? {} : { annotations: { [ANNOTATIONS.emptied]: mark } };
  const name = `spool-relay-${ordinal}`;
  const labels = managedLabels('relay');
  const metadata = { name, namespace: 'mail', uid: `uid-of-${name}`, labels, ...annotations, ...changes };
  return { kind: 'PersistentVolumeClaim', metadata } as KubeObject;
}

function leaver(
  ordinal: number,
  evacuation: PodStatus['evacuation'],
  changes: Partial<PodView> = {},
): PodView {
  return podView(`relay-${ordinal}`, podReport(relay, { evacuation }), changes);
}

const EMPTIED = { state: 'Emptied', message: null, order: scaleOrder(relay.metadata) } as const;
const HANDING_OVER = { state: 'HandingOver', message: null } as const;

/** Two pods are wanted. `places` is the number of replicas of the StatefulSet. */
function world(claims: readonly KubeObject[], leaving: readonly PodView[], places = 2): World {
  const objects = liveObjects(relay);
  const set = objects.get('StatefulSet/relay') as KubeObject;
  objects.set('StatefulSet/relay', { ...set, spec: { ...(set['spec'] as object), replicas: places } });
  for (const one of [claim(0), claim(1), ...claims])
    objects.set(`PersistentVolumeClaim/${one.metadata.name}`, one);
  return settledWorld({ relay, objects, leaving });
}

function decided(of: World) {
  const { replicas, unmarked, marked, removed } = planScaling(of);
  const names = (objects: readonly KubeObject[]) => objects.map(({ metadata }) => metadata.name);
  return {
    replicas,
    unmarked: names(unmarked),
    marked: marked.map(({ claim: { metadata }, proof }) => `${metadata.name} ${proof}`),
    removed: names(removed),
  };
}

const nothing = { unmarked: [], marked: [], removed: [] };

describe('scaling in', () => {
  test('a relay of the wanted size has nothing to do', () => {
    assert.deepEqual(decided(world([], [])), { replicas: 2, ...nothing });
  });

  test('a pod with mail keeps its place, and so does one that has not said anything', () => {
    for (const pod of [leaver(2, HANDING_OVER), leaver(2, undefined), podView('relay-2', undefined)])
      assert.deepEqual(decided(world([claim(2)], [pod], 3)), { replicas: 3, ...nothing });
  });

  test('the word of a pod that it is empty goes on its claim first', () => {
    assert.deepEqual(decided(world([claim(2)], [leaver(2, EMPTIED)], 3)), {
      ...nothing,
      replicas: 3,
      marked: ['spool-relay-2 uid-of-relay-2'],
    });
  });

  test('then its place goes, and the claim only after the pod was told to go', () => {
    const marked = claim(2, 'uid-of-relay-2');
    assert.deepEqual(decided(world([marked], [leaver(2, EMPTIED)], 3)), { replicas: 2, ...nothing });
    assert.deepEqual(decided(world([marked], [leaver(2, EMPTIED)], 2)), { replicas: 2, ...nothing });
    const going = leaver(2, EMPTIED, { deleting: true });
    assert.deepEqual(decided(world([marked], [going], 2)).removed, ['spool-relay-2']);
    assert.deepEqual(decided(world([marked], [], 2)).removed, ['spool-relay-2']);
  });

  test('several pods leave at once, and places go from the top', () => {
    const claims = [claim(2), claim(3), claim(4, 'uid-of-relay-4')];
    const pods = [leaver(2, EMPTIED), leaver(3, HANDING_OVER), leaver(4, EMPTIED)];
    assert.deepEqual(decided(world(claims, pods, 5)), {
      ...nothing,
      replicas: 4,
      marked: ['spool-relay-2 uid-of-relay-2'],
    });
  });

  test('the word of an earlier pod is not that of the one which uses the claim now', () => {
    const replaced = leaver(2, HANDING_OVER, { uid: 'another' });
    assert.deepEqual(decided(world([claim(2, 'uid-of-relay-2')], [replaced], 3)), {
      replicas: 3,
      ...nothing,
    });
  });

  test('a claim with mail whose pod is gone brings the pod back', () => {
    assert.deepEqual(decided(world([claim(3)], [], 2)), { replicas: 4, ...nothing });
  });

  test('wanted again, the word comes off, and the claim stays', () => {
    const again = world([], [], 2);
    const objects = new Map(again.objects).set(
      'PersistentVolumeClaim/spool-relay-1',
      claim(1, 'uid-of-relay-1'),
    );
    assert.deepEqual(decided({ ...again, objects }), {
      ...nothing,
      replicas: 2,
      unmarked: ['spool-relay-1'],
    });
  });

  test('a claim without a volume, as of a pod that no node had room for, holds nothing', () => {
    const unbound = { ...claim(2), status: { phase: 'Pending' } } as KubeObject;
    const pending = podView('relay-2', undefined, { hasRun: false });
    const marked = ['spool-relay-2 never-bound'];
    assert.deepEqual(decided(world([unbound], [pending], 3)), { ...nothing, replicas: 3, marked });
    const found = { ...claim(2, 'never-bound'), status: { phase: 'Pending' } } as KubeObject;
    assert.deepEqual(decided(world([found], [pending], 3)), { replicas: 2, ...nothing });
    assert.deepEqual(decided(world([found], [], 2)).removed, ['spool-relay-2']);
  });

  test('it holds something once there is a volume, or where it says what it will be made from', () => {
    const bound = { ...claim(2, 'never-bound'), status: { phase: 'Bound' } } as KubeObject;
    assert.deepEqual(decided(world([bound], [], 2)), { replicas: 3, ...nothing });
    const pending = podView('relay-2', undefined, { hasRun: false });
    const origins = [
      { volumeName: 'restored' },
      { selector: { matchLabels: { from: 'backup' } } },
      { dataSource: { kind: 'VolumeSnapshot', name: 'nightly' } },
      { dataSourceRef: { kind: 'PersistentVolumeClaim', name: 'other' } },
    ];
    for (const spec of origins)
      for (const mark of [undefined, 'never-bound']) {
        const restored = { ...claim(2, mark), spec, status: { phase: 'Pending' } } as KubeObject;
        for (const [pods, places] of [
          [[pending], 3],
          [[], 2],
        ] as const)
          assert.deepEqual(decided(world([restored], pods, places)), { replicas: 3, ...nothing });
      }
  });

  test('a claim that somebody made for a pod to come is not taken for one that was never used', () => {
    const fresh = { ...claim(2), status: { phase: 'Pending' } } as KubeObject;
    assert.deepEqual(decided(world([fresh], [], 2)), { replicas: 3, ...nothing });
  });

  test('a word proves nothing that is not of this very pod, or not of the order in force, or names neither', () => {
    const { order: _, ...unnamed } = EMPTIED;
    const own = { pod: 'relay-2', uid: 'uid-of-relay-2', namespace: 'mail', relay: 'relay' };
    const words = [
      podReport(relay, { evacuation: EMPTIED, identity: { ...own, uid: 'another' } }),
      podReport(relay, { evacuation: EMPTIED, identity: undefined }),
      podReport(relay, { evacuation: unnamed }),
      podReport(relay, { evacuation: { ...EMPTIED, order: 'uid-of-relay.2' } }),
    ];
    for (const word of words) {
      assert.deepEqual(decided(world([claim(2)], [podView('relay-2', word)], 3)), {
        replicas: 3,
        ...nothing,
      });
      const unclaimed = world([], [podView('relay-2', word)], 3);
      assert.equal(decided(unclaimed).replicas, 3, 'nor has it nothing in itself');
    }
  });

  test('a claim that goes already is let go', () => {
    const going = claim(2, 'uid-of-relay-2', { deletionTimestamp: '2026-01-01T00:00:00Z' });
    assert.deepEqual(decided(world([going], [], 2)), { replicas: 2, ...nothing });
  });

  test('a copy of a claim, with all its labels, is not ours: it is neither removed nor waited for', () => {
    const copies = [{}, { status: { phase: 'Pending' } }].map((status, n) => {
      const copy = claim(2, undefined, { name: `restored-${n + 7}` });
      return { ...copy, ...status } as KubeObject;
    });
    assert.deepEqual(decided(world(copies, [], 2)), { replicas: 2, ...nothing });
  });

  test('a claim whose ordinal no relay can have is not ours, so it brings no pod', () => {
    const beyond = [100, 2_000_000_000, 2 ** 53 - 1].map((ordinal) => claim(ordinal));
    assert.deepEqual(decided(world(beyond, [], 2)), { replicas: 2, ...nothing });
    assert.deepEqual(decided(world([claim(99)], [], 2)), { replicas: 100, ...nothing });
  });

  test('claims of an earlier relay of this name, which had a queue, are let alone', () => {
    const cutThrough = relayObject({ queue: { mode: 'CutThrough' } });
    const of = { ...world([claim(2), claim(3, 'uid-of-relay-3')], [], 2), relay: cutThrough };
    assert.deepEqual(decided(of), { replicas: 2, ...nothing });
  });

  test('without a queue nothing is waited for', () => {
    const cutThrough = relayObject({ queue: { mode: 'CutThrough' } });
    const of = { ...world([], [leaver(2, null)], 3), relay: cutThrough };
    assert.equal(planScaling(of).replicas, 2);
  });
});

describe('what the status says of pods that leave', () => {
  const reasonOf = (pod: PodView) => judge({ ...world([claim(2)], [pod], 3), obstacles: [] }).Reconciling;
  test('they leave', () => {
    assert.equal(reasonOf(leaver(2, HANDING_OVER))?.reason, 'ScalingIn');
  });
  test('or something is in the way', () => {
    const stuck = reasonOf(leaver(2, { state: 'Delivering', message: 'no pod stays' }));
    assert.equal(stuck?.reason, 'ScaleInWaits');
    assert.match(stuck?.message ?? '', /relay-2 .*no pod stays/);
  });
  test('a pod that does not start cannot say what its claim holds', () => {
    assert.match(reasonOf(podView('relay-2', undefined, { hasRun: false }))?.message ?? '', /does not start/);
  });
  test('and how its mail is given up: one that has run keeps its place while it is there', () => {
    const never = reasonOf(podView('relay-2', undefined, { hasRun: false }))?.message ?? '';
    assert.match(never, /or give its mail up: kubectl delete -n mail pvc\/spool-relay-2$/);
    const trouble = { reason: 'CrashLoopBackOff', message: 'CrashLoopBackOff', isStuck: true };
    const crashes = reasonOf(podView('relay-2', undefined, { trouble, ready: false }))?.message ?? '';
    assert.match(
      crashes,
      /: CrashLoopBackOff: see .* kubectl delete -n mail pvc\/spool-relay-2 pod\/relay-2$/,
    );
    const away = reasonOf(podView('relay-2', undefined, { ip: undefined }))?.message ?? '';
    assert.match(away, /it has no address now, and its disk may hold mail/);
  });
  test('a pod that cannot be asked says its own trouble', () => {
    const trouble = { reason: 'Terminating', message: 'Terminating: its node is away', isStuck: false };
    const away = podView('relay-2', undefined, { trouble, ready: false, deleting: true });
    assert.match(reasonOf(away)?.message ?? '', /relay-2 stays .*: Terminating: its node is away/);
  });
  test('an older relay cannot hand over', () => {
    const { evacuation: _, ...older } = podReport(relay);
    assert.match(reasonOf(podView('relay-2', older))?.message ?? '', /version 0\.1\.0 cannot/);
  });
});
