/** What is remembered of refused writes, and for how long. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordingDeps } from '#test/fixtures/deps.ts';
import { liveObjects, podReport, podView, relayObject, settledWorld } from '#test/fixtures/world.ts';
import type { KubeObject, Request } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { Paces } from './paces.ts';
import { reconcile } from './reconcile.ts';

const REFUSED = new KubeError('forbidden', 'the backup owns it', 403);
const WORDS = /the backup owns it/;
const refuse = async () => {
  throw REFUSED;
};

/** One look at a relay with objects that it no longer wants, at a server that refuses to delete them. */
async function lookAt(known: ConstructorParameters<typeof Paces>[0], unwanted: readonly string[]) {
  const objects = liveObjects(relayObject());
  for (const name of unwanted) {
    const ownerReferences = [{ kind: 'MailRelay', name: 'relay', uid: 'uid-of-relay', controller: true }];
    const metadata = { name, namespace: 'mail', uid: `uid-of-${name}`, ownerReferences };
    objects.set(`ConfigMap/${name}`, { kind: 'ConfigMap', metadata } as KubeObject);
  }
  const deps = recordingDeps(({ method }: Request) => {
    if (method === 'DELETE') throw REFUSED;
    return {};
  });
  const pods = ['relay-0', 'relay-1'].map((name) => podView(name, podReport(relayObject())));
  const writer = { ...deps.writer, paces: new Paces(known, () => 0) };
  await reconcile(settledWorld({ objects, pods }), { ...deps, writer });
  return deps.requests.filter(({ method }) => method === 'DELETE').length;
}

test('refusals of objects that are gone are forgotten, and the others stay', async () => {
  const known: ConstructorParameters<typeof Paces>[0] = new Map();
  const names = (look: number) => Array.from({ length: 20 }, (_, n) => `look-${look}-${n}`);
  for (const nth of [0, 1, 2]) {
    await lookAt(known, ['stays', ...names(nth)]);
    assert.equal(known.size, 21, `look ${nth}`);
  }
  assert.equal(await lookAt(known, ['stays']), 0, 'its pause goes on');
  await lookAt(known, []);
  assert.equal(known.size, 0);
});

test('a look that ends early forgets nothing that it did not reach, and none forgets what comes after all others', async () => {
  const known: ConstructorParameters<typeof Paces>[0] = new Map();
  for (const what of ['status', 'Service/relay'])
    await assert.rejects(new Paces(known, () => 0).pace(what, 'x', refuse), WORDS);
  await assert.rejects(new Paces(known, () => 0).pace('ConfigMap/relay', 'x', refuse), WORDS);
  assert.deepEqual([...known.keys()], ['status', 'Service/relay', 'ConfigMap/relay']);
  new Paces(known, () => 0).forgetOthers('status');
  assert.deepEqual([...known.keys()], ['status']);
});

test('a step before a write is refused for itself, and its success ends no pause of the write', async () => {
  const known: ConstructorParameters<typeof Paces>[0] = new Map();
  const paces = new Paces(known, () => 0);
  await assert.rejects(paces.pace('Service/relay', 'one', refuse), WORDS);
  assert.equal(await paces.step('Service/relay', 'other', async () => 'read'), 'read');
  await assert.rejects(
    paces.pace('Service/relay', 'one', async () => 'written'),
    WORDS,
  );
  await assert.rejects(paces.step('Service/relay', 'other', refuse), WORDS);
  let reads = 0;
  await assert.rejects(
    paces.step('Service/relay', 'other', async () => reads++),
    WORDS,
  );
  assert.equal(reads, 0);
});

test('a reading that succeeds ends its own pauses: one that fails much later is tried again soon', async () => {
  let now = 0;
  const paces = new Paces(new Map(), () => now);
  const fails = () => assert.rejects(paces.recall('StatefulSet/relay', 'x', refuse), WORDS);
  for (let nth = 0; nth < 10; nth++, now += 60_000) await fails();
  assert.equal(await paces.recall('StatefulSet/relay', 'x', async () => 'found'), 'found');
  now += 3_600_000;
  await fails();
  now += 500;
  assert.equal(await paces.recall('StatefulSet/relay', 'x', async () => 'read again'), 'read again');
});
