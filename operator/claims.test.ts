import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import { asksForRelay } from '#test/fixtures/deps.ts';
import { liveObjects, relayObject, SETTINGS, settledWorld } from '#test/fixtures/world.ts';
import { settleClaims } from './claims.ts';
import type { KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { Refresher } from './pods/refresh.ts';
import { reconcile } from './reconcile.ts';
import { Rollouts } from './rollouts.ts';

const claim = (name: string, mark: string): KubeObject => ({
  kind: 'PersistentVolumeClaim',
  metadata: {
    name,
    namespace: 'mail',
    uid: `uid-of-${name}`,
    resourceVersion: '7',
    annotations: { [ANNOTATIONS.emptied]: mark },
  },
});

function recorder(answer: (request: Request) => unknown = () => ({})) {
  const requests: Request[] = [];
  const request = async <T>(one: Request) => {
    requests.push(one);
    return answer(one) as T;
  };
  return { requests, writer: { request } };
}

const nothing = { replicas: 2, unmarked: [], marked: [], removed: [] };
const quiet = () => undefined;

test('a pod that is wanted again is told so only after the mark is off its claim', async () => {
  const { requests, writer } = recorder((request) => {
    if (asksForRelay(request)) return relayObject();
    if (request.method === 'GET') throw new KubeError('notFound', 'not found', 404);
    return {};
  });
  const relay = relayObject();
  const objects = liveObjects(relay);
  objects.set('PersistentVolumeClaim/spool-relay-1', claim('spool-relay-1', 'uid-of-relay-1'));
  objects.delete('ConfigMap/relay-policy');
  await reconcile(settledWorld({ relay, objects }), {
    writer,
    settings: SETTINGS,
    refresher: new Refresher(),
    rollouts: new Rollouts(1),
    onWrite: quiet,
    tell: async () => undefined,
  });
  const writes = requests
    .filter(({ method }) => method === 'PATCH')
    .map(({ path }) => path.split('/').at(-1));
  assert.deepEqual(writes.slice(0, 2), ['spool-relay-1', 'relay-policy']);
  assert.deepEqual(requests.find(({ method }) => method === 'PATCH')?.body, {
    metadata: { resourceVersion: '7', annotations: { [ANNOTATIONS.emptied]: null } },
  });
});

test('a claim is removed as it was judged, and one that changed meanwhile is left alone', async () => {
  const scaling = { ...nothing, removed: [claim('spool-relay-2', 'uid-of-relay-2')] };
  const { requests, writer } = recorder(() => {
    throw new KubeError('conflict', 'changed', 409);
  });
  await settleClaims(writer, scaling, quiet);
  const [{ method, body } = { method: '', body: undefined }] = requests;
  assert.equal(method, 'DELETE');
  assert.deepEqual((body as { preconditions: unknown }).preconditions, {
    uid: 'uid-of-spool-relay-2',
    resourceVersion: '7',
  });
});

test('a word that could not be written is an error, so that it is written again', async () => {
  const marked = [{ claim: claim('spool-relay-2', 'before'), proof: 'uid-of-relay-2' }];
  const { writer } = recorder(() => {
    throw new KubeError('conflict', 'changed', 409);
  });
  await assert.rejects(settleClaims(writer, { ...nothing, marked }, quiet), /changed/);
});
