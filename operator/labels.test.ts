/** Labels of pods and claims that somebody took away come back, by the StatefulSet that owns the pod. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { notFound, recordingDeps } from '#test/fixtures/deps.ts';
import { liveObjects, podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject, Request } from './kube/client.ts';
import { reconcile } from './reconcile.ts';
import { managedLabels } from './render/metadata.ts';
import type { World } from './world.ts';

const relay = relayObject();
const LABELS = managedLabels('relay');
const { 'app.kubernetes.io/managed-by': _, ...UNMANAGED } = LABELS;
const owner = { kind: 'StatefulSet', name: 'relay', uid: 'uid-of-StatefulSet', controller: true };

const pod = (n: number, labels: object = LABELS, ownerReferences: readonly object[] = [owner]) =>
  ({
    kind: 'Pod',
    metadata: { name: `relay-${n}`, namespace: 'mail', uid: `uid-of-relay-${n}`, labels, ownerReferences },
  }) as KubeObject;
const claim = (n: number, labels: object = LABELS) =>
  ({
    kind: 'PersistentVolumeClaim',
    metadata: { name: `spool-relay-${n}`, namespace: 'mail', uid: `uid-of-claim-${n}`, labels },
    spec: {},
    status: { phase: 'Bound' },
  }) as KubeObject;

/** The server has all objects, the caches only those with our labels. */
function world(server: readonly KubeObject[], changes: Partial<World> = {}): World {
  const objects = liveObjects(relayObject());
  for (const object of server)
    if (object.metadata.labels && 'app.kubernetes.io/managed-by' in object.metadata.labels)
      objects.set(`${object.kind}/${object.metadata.name}`, object);
  const cached = [0, 1].filter((n) => objects.has(`Pod/relay-${n}`));
  const pods = cached.map((n) => podView(`relay-${n}`, podReport(relay)));
  return settledWorld({ relay, objects, pods, ...changes });
}

function answering(server: readonly KubeObject[]) {
  return recordingDeps(({ method, path, query }: Request) => {
    if (method !== 'GET') return {};
    if (path.endsWith('/pods'))
      return {
        items: server.filter(({ metadata }) => query?.['fieldSelector'] === `metadata.name=${metadata.name}`),
      };
    return server.find(({ metadata }) => path.endsWith(`/${metadata.name}`)) ?? notFound({ method, path });
  });
}

async function patches(server: readonly KubeObject[], changes: Partial<World> = {}) {
  const deps = answering(server);
  await reconcile(world(server, changes), deps);
  const written = deps.requests.filter(({ method, path }) => method !== 'GET' && !path.endsWith('/status'));
  const looked = deps.requests.filter(
    ({ path }) => path.endsWith('/pods') || path.includes('/persistentvolumeclaims/'),
  );
  return { written: written.map(({ path, body }) => [path.split('/').at(-1), body]), reads: looked.length };
}

test('a pod that the StatefulSet counts gets its labels back, and nothing else is written meanwhile', async () => {
  const server = [pod(0), pod(1, UNMANAGED), claim(0), claim(1)];
  const patch = { metadata: { uid: 'uid-of-relay-1', labels: LABELS } };
  assert.deepEqual((await patches(server)).written, [['relay-1', patch]]);
  // One that leaves, too: without its label nobody would empty it.
  const leaving = { relay: relayObject({ replicas: 1 }) };
  assert.deepEqual((await patches(server, leaving)).written, [['relay-1', patch]]);
});

test('a claim of a pod of the StatefulSet gets its labels back', async () => {
  const { written } = await patches([pod(0), pod(1), claim(0), claim(1, UNMANAGED)]);
  assert.deepEqual(written, [['spool-relay-1', { metadata: { uid: 'uid-of-claim-1', labels: LABELS } }]]);
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
    assert.equal(reads, 1);
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
  assert.equal(listed.length, 4);
});
