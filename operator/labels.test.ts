/** Labels that somebody took away come back to a pod that its StatefulSet owns, and to its claim. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordingDeps } from '#test/fixtures/deps.ts';
import { gathered } from '#test/fixtures/gathered.ts';
import {
  answering,
  claim,
  LABELS,
  namesOf,
  owner,
  patches,
  pod,
  UNMANAGED,
  world,
} from '#test/fixtures/hiddenlabels.ts';
import { liveObjects, podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { AllPaces } from './paces.ts';
import { reconcile } from './reconcile.ts';
import type { World } from './world.ts';

test('a pod that the StatefulSet counts gets its labels back', async () => {
  const server = [pod(0), pod(1, UNMANAGED), claim(0), claim(1)];
  const patch = { metadata: { uid: 'uid-of-relay-1', labels: LABELS } };
  assert.deepEqual((await patches(server)).written, [['relay-1', patch]]);
  // One that leaves, too: without its label nobody would empty it. It is told to leave when it is seen.
  const smaller = relayObject({ replicas: 1 });
  const { written } = await patches(server, { relay: smaller, policy: settledWorld().policy });
  assert.deepEqual(written[0], ['relay-1', patch]);
  assert.deepEqual(namesOf(written), ['Pod/relay-1', 'PodDisruptionBudget/relay']);
});

test('a claim of a pod of the StatefulSet gets its labels back', async () => {
  const { 'app.kubernetes.io/name': _name, ...unnamed } = LABELS;
  for (const labels of [UNMANAGED, unnamed]) {
    const { written } = await patches([pod(0), pod(1), claim(0), claim(1, labels)]);
    assert.deepEqual(written, [['spool-relay-1', { metadata: { uid: 'uid-of-claim-1', labels: LABELS } }]]);
  }
});

test('a pod of somebody else, and one that goes, stay as they are', async () => {
  const others = [pod(1, UNMANAGED, []), pod(1, UNMANAGED, [{ ...owner, uid: 'another' }])];
  const going = {
    ...pod(1, UNMANAGED),
    metadata: { ...pod(1, UNMANAGED).metadata, deletionTimestamp: 'now' },
  };
  for (const other of [...others, going]) {
    const { written, reads } = await patches([pod(0), other as KubeObject, claim(0), claim(1)]);
    assert.deepEqual(written, []);
    assert.ok(reads <= 3, `${reads} reads`);
  }
});

test('nothing is read while the caches have everything, and a few objects at most', async () => {
  assert.equal((await patches([pod(0), pod(1), claim(0), claim(1)])).reads, 0);
  const objects = new Map(world([pod(0), claim(0)]).objects);
  const set = objects.get('StatefulSet/relay') as KubeObject;
  const spec = { ...(set['spec'] as object), replicas: 40 };
  objects.set('StatefulSet/relay', { ...set, spec, status: { replicas: 40 } });
  objects.delete('PersistentVolumeClaim/spool-relay-0');
  const deps = answering([]);
  await reconcile(settledWorld({ relay: relayObject({ replicas: 40 }), objects, pods: [] }), deps);
  const listed = deps.requests.filter(({ path }) => path.endsWith('/pods'));
  assert.equal(listed.length, 3);
});

/** The pods that are patched in some looks, of which each changes the world; the server refuses the patches of some. */
async function patchedIn(
  state: World,
  server: readonly KubeObject[],
  looks: readonly ((state: World) => World)[],
  refused: readonly string[] = [],
) {
  const paces = new AllPaces(() => 0).of('mail/relay', 3);
  const answers = answering(server).writer;
  const deps = recordingDeps();
  const request = async <T>(sent: Request): Promise<T> => {
    deps.requests.push(sent);
    const isRefused = refused.some((name) => sent.path.endsWith(`/pods/${name}`));
    if (sent.method === 'PATCH' && isRefused) throw new KubeError('forbidden', 'the backup owns it', 403);
    return answers.request(sent);
  };
  for (const change of looks) await reconcile(change(state), { ...deps, writer: { request, paces } });
  const written = deps.requests.filter(({ method, path }) => method !== 'GET' && path.includes('/pods/'));
  return written.map(({ path }) => path.split('/').at(-1));
}

/** A relay with six places, of whose pods the caches have one. */
function large(): World {
  const wanted = relayObject({ replicas: 6 });
  const objects = liveObjects(wanted).set('Pod/relay-4', pod(4));
  return settledWorld({ relay: wanted, objects, pods: [podView('relay-4', podReport(wanted))] });
}

test('pods that are not there hide none behind them', async () => {
  const same = (state: World) => state;
  for (const hidden of [0, 1, 2, 3, 5]) {
    const patched = await patchedIn(large(), [pod(hidden, UNMANAGED)], [same]);
    assert.ok(patched.includes(`relay-${hidden}`), `relay-${hidden}`);
  }
});

test('nor do those whose labels are refused', async () => {
  const names = [0, 1, 2, 3, 5].map((n) => `relay-${n}`);
  const server = [0, 1, 2, 3, 5].map((n) => pod(n, UNMANAGED));
  const same = (state: World) => state;
  const patched = await patchedIn(large(), server, [same, same, same], names);
  assert.deepEqual(patched.toSorted(), names, 'each once');
});

test('another pod that the caches know gets its labels at once, though those of the former were refused', async () => {
  const { 'app.kubernetes.io/name': _name, ...unnamed } = LABELS;
  const second = pod(1, unnamed);
  const another = { ...second, metadata: { ...second.metadata, uid: 'another' } };
  const same = (state: World) => state;
  const replaced = (state: World) => ({
    ...state,
    objects: new Map(state.objects).set('Pod/relay-1', another),
  });
  const server = [pod(0), second, claim(0), claim(1)];
  const patched = await patchedIn(world(server), server, [same, same, replaced], ['relay-1']);
  assert.deepEqual(patched, ['relay-1', 'relay-1']);
});

test('a pod of somebody else hides none of the relay', async () => {
  const wanted = relayObject({ queue: { mode: 'CutThrough' } });
  const objects = liveObjects(wanted).set('Pod/relay-1', pod(1));
  const stranger = pod(7, { ...LABELS, 'app.kubernetes.io/name': 'x' }, []);
  objects.set('Pod/relay-7', stranger);
  const state = gathered({ relay: () => wanted, objectsOf: () => objects }) as World;
  const same = (world: World) => world;
  const patched = await patchedIn(state, [pod(0, UNMANAGED), stranger], [same]);
  assert.deepEqual(patched.toSorted(), ['relay-0', 'relay-1']);
});
