/**
 * A look whose wish the API server does not have any more: it writes nothing, says nothing, and is tried again. One read of the
 * MailRelay tells for a few seconds, and a look that writes nothing asks nothing.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { asksForRelay, notFound, recordingDeps } from '#test/fixtures/deps.ts';
import { withStatus } from '#test/fixtures/withstatus.ts';
import { liveObjects, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { reconcile } from './reconcile.ts';
import { managedLabels } from './render/metadata.ts';
import { confirming, isSameWish } from './wish.ts';
import type { World } from './world.ts';

const RELAY = relayObject();
const withMetadata = (changes: object) => ({ ...RELAY, metadata: { ...RELAY.metadata, ...changes } });
/** What the API server has in place of the MailRelay that the caches have. */
const OTHERS: Readonly<Record<string, () => unknown>> = {
  'is gone': () => {
    throw new KubeError('notFound', 'no', 404);
  },
  'is being deleted': () => withMetadata({ deletionTimestamp: '2026-01-01T00:00:00Z' }),
  'has another of its name': () => withMetadata({ uid: 'another' }),
  'was edited': () => withMetadata({ generation: 4 }),
  'is paused': () => withMetadata({ annotations: { [ANNOTATIONS.paused]: 'true' } }),
  'was given away': () => withMetadata({ annotations: { [ANNOTATIONS.installation]: 'c/d' } }),
  'has another stamp': () => ({ ...RELAY, status: { installation: 'c/d' } }),
};

const objectsWithout = (...names: readonly string[]) =>
  new Map([...liveObjects(RELAY)].filter(([name]) => !names.includes(name)));

function withUnowned(): Map<string, KubeObject> {
  const objects = liveObjects(RELAY);
  const service = objects.get('Service/relay') as KubeObject;
  const { ownerReferences: _, ...metadata } = service.metadata;
  return objects.set('Service/relay', { ...service, metadata });
}

function withUnwanted(): Map<string, KubeObject> {
  const issued = liveObjects(relayObject({ tls: { issuerRef: { name: 'ca' } } })).get('Certificate/relay');
  return liveObjects(RELAY).set('Certificate/relay', issued as KubeObject);
}

function withClaim(n: number, metadata: object = {}): Map<string, KubeObject> {
  const name = `spool-relay-${n}`;
  const spec = { resources: { requests: { storage: '1Gi' } } };
  const own = { name, namespace: 'mail', uid: name, resourceVersion: '1', labels: managedLabels('relay') };
  const claim = { kind: 'PersistentVolumeClaim', metadata: { ...own, ...metadata }, spec };
  return liveObjects(RELAY).set(`PersistentVolumeClaim/${name}`, claim);
}

function withEdited(): Map<string, KubeObject> {
  const service = liveObjects(RELAY).get('Service/relay') as KubeObject;
  return liveObjects(RELAY).set('Service/relay', { ...service, spec: {} });
}

const WORLDS: Readonly<Record<string, () => World>> = {
  'makes objects': () => settledWorld({ objects: objectsWithout('Service/relay', 'StatefulSet/relay') }),
  'changes an object': () => settledWorld({ objects: withEdited() }),
  'labels a pod': () =>
    settledWorld({ pods: settledWorld().pods.map((pod) => ({ ...pod, serving: undefined })) }),
  'adopts an object': () => settledWorld({ objects: withUnowned() }),
  'deletes an object': () => settledWorld({ objects: withUnwanted() }),
  'removes a claim': () =>
    settledWorld({ objects: withClaim(2, { annotations: { [ANNOTATIONS.emptied]: 'uid-of-relay-2' } }) }),
};

const lastOf = (path: string) => path.split('/').slice(-2).join('/');

async function runLook(world: World, live: () => unknown) {
  const deps = recordingDeps(notFound, live);
  const failed = await reconcile(withStatus(world), deps).then(
    () => undefined,
    ({ kind }: KubeError) => kind,
  );
  const writes = deps.requests.filter(({ method }) => method !== 'GET');
  const reads = deps.requests.filter(asksForRelay).length;
  return { failed, writes: writes.map(({ method, path }) => `${method} ${lastOf(path)}`), reads };
}

for (const [what, world] of Object.entries(WORLDS))
  describe(`a look that ${what}`, () => {
    test('asks once whether the MailRelay is as it believes', async () => {
      const { failed, writes, reads } = await runLook(world(), relayObject);
      assert.deepEqual([failed, reads], [undefined, 1]);
      assert.notDeepEqual(writes, []);
    });

    for (const [how, live] of Object.entries(OTHERS))
      test(`writes nothing for one that ${how}`, async () => {
        assert.deepEqual(await runLook(world(), live), { failed: 'outdated', writes: [], reads: 1 });
      });
  });

test('volumes grow, and a StatefulSet goes without its pods, only for a wish that stands', async () => {
  const grown = relayObject({ queue: { storage: { size: '2Gi' } } });
  const world = settledWorld({ relay: grown, objects: withClaim(0) });
  const stands = await runLook(world, relayObject);
  assert.ok(stands.writes.includes('DELETE statefulsets/relay'), stands.writes.join());
  const { failed, writes } = await runLook(world, OTHERS['was edited'] as () => unknown);
  assert.equal(failed, 'outdated');
  assert.ok(!writes.some((one) => /DELETE|persistentvolumeclaims/.test(one)), writes.join());
});

test('in a look that lasts for long, as where writes are slow, the word is asked for again', async () => {
  let [now, live] = [0, relayObject];
  const { writer, requests } = recordingDeps(notFound, () => live());
  const confirmed = confirming(writer, RELAY, () => now);
  const write = () => confirmed.request({ method: 'PATCH', path: '/any' });
  const asked = () => requests.filter(asksForRelay).length;
  for (now = 0; now < 4_000; now += 100) await write();
  assert.equal(asked(), 1);
  live = OTHERS['is gone'] as typeof live;
  now += 10_000;
  await assert.rejects(write(), { kind: 'outdated' });
  await assert.rejects(write(), { kind: 'outdated' });
  assert.equal(asked(), 2);
});

test('a MailRelay that goes while the claims of its StatefulSet are read gets no StatefulSet', async () => {
  let live = relayObject as () => unknown;
  const deps = recordingDeps(
    (request) => {
      if (request.path.includes('/persistentvolumeclaims/')) live = OTHERS['is gone'] as typeof live;
      return notFound(request);
    },
    () => live(),
  );
  const world = withStatus(settledWorld({ objects: objectsWithout('StatefulSet/relay') }));
  await assert.rejects(reconcile(world, deps), { kind: 'outdated' });
  const paths = deps.requests.map(({ method, path }) => `${method} ${lastOf(path)}`);
  assert.ok(paths.includes('GET persistentvolumeclaims/spool-relay-0'), paths.join());
  assert.ok(!paths.includes('PATCH statefulsets/relay'), paths.join());
});

test('a look that writes nothing asks nothing', async () => {
  assert.deepEqual(await runLook(settledWorld(), relayObject), { failed: undefined, writes: [], reads: 0 });
});

test('what the operator itself writes into the status is no other wish', () => {
  const stamped = { ...RELAY, status: { installation: 'a/b' } };
  const told = { ...stamped, status: { ...stamped.status, observedGeneration: 3 } };
  const moved = { ...told, metadata: { ...told.metadata, resourceVersion: '9', labels: { a: 'b' } } };
  assert.equal(isSameWish(stamped, moved), true);
  assert.equal(isSameWish(stamped, undefined), false);
});
