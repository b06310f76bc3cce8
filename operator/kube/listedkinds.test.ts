/** What a list-watch keeps of a kind: one that may be absent, a list that is streamed, and parts of large objects. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '#test/kit/wait.ts';
import { api, events, fails, inTurn, listOf, pod, running, start } from '#test/kit/watchserver.ts';
import type { KubeObject } from './client.ts';

/** The last event of a streamed list has this annotation. */
const END = { 'k8s.io/initial-events-end': 'true' };

test('a kind that the cluster does not know is an empty cache, where that is allowed', async () => {
  api.onList = fails(404);
  const { cache, troubles } = start({ absentMs: 30_000 });
  await until('the cache', () => cache.synced);
  assert.equal(cache.exists, false);
  assert.deepEqual(troubles, []);
});

test('an optional kind is gone when the server has said so twice in a row', async () => {
  api.onList = listOf('5', pod('a', '3'));
  api.onWatch = inTurn(fails(404), events({ type: 'ADDED', object: pod('b', '6') }));
  const { seen, cache, troubles } = start({ absentMs: 30_000 });
  await until('the watch after that', () => seen.has('b'));
  assert.deepEqual([...seen.keys()], ['a', 'b']);
  assert.deepEqual([cache.exists, cache.refused, troubles, api.lists.length], [true, false, [], 1]);
  api.onList = fails(404);
  api.onWatch = fails(404);
  cache.renew();
  await until('the end of the kind', () => !cache.exists);
  assert.deepEqual([[...seen.keys()], troubles], [[], []]);
});

test('a list is streamed where the server can, and is taken when it is complete', async () => {
  const added = ['a', 'b'].map((name) => ({ type: 'ADDED', object: pod(name, '3') }));
  api.onStream = inTurn(
    // The list breaks off in the middle, so it does not count.
    (_request, response) => response.writeHead(200).end(`${JSON.stringify(added[0])}\n`),
    events(...added, {
      type: 'BOOKMARK',
      object: { metadata: { resourceVersion: '5', annotations: END } },
    }),
  );
  api.onList = fails(500);
  api.onWatch = events({ type: 'ADDED', object: pod('c', '6') });
  const { seen, cache } = start();
  await until('the change', () => seen.has('c'));
  assert.deepEqual([...seen.keys()], ['a', 'b', 'c']);
  assert.equal(api.watches[0]?.searchParams.get('resourceVersion'), '5');
  assert.deepEqual(api.lists, []);
  assert.equal(cache.restarts, 1);
});

test('what changes or goes while a list is streamed is not listed as it was', async () => {
  api.onStream = events(
    ...['a', 'b', 'd'].map((name) => ({ type: 'ADDED', object: pod(name, '3') })),
    { type: 'MODIFIED', object: pod('a', '5') },
    { type: 'DELETED', object: pod('b', '6') },
    { type: 'BOOKMARK', object: { metadata: { resourceVersion: '7', annotations: END } } },
  );
  api.onWatch = events();
  const { seen, cache } = start();
  await until('the list', () => cache.synced);
  assert.deepEqual(Object.fromEntries(seen), { a: '5', d: '3' });
});

test('a list does not end with an object that has the annotation of its end: anybody may write it', async () => {
  const marked = pod('a', '3');
  const hostile = { ...marked, metadata: { ...marked.metadata, annotations: END } };
  api.onStream = events(
    { type: 'ADDED', object: hostile },
    { type: 'ADDED', object: pod('b', '4') },
    { type: 'BOOKMARK', object: { metadata: { resourceVersion: '5', annotations: END } } },
  );
  api.onWatch = events();
  const { seen, cache } = start();
  await until('the list', () => cache.synced && api.watches.length === 1);
  assert.deepEqual([...seen.keys()], ['a', 'b']);
  assert.equal(api.watches[0]?.searchParams.get('resourceVersion'), '5');
});

test('a list that a server begins to stream and cannot is read in pages, as where its etcd is too old', async () => {
  const message = 'the required storage feature RequestWatchProgress is disabled';
  api.onStream = events({ type: 'ERROR', object: { kind: 'Status', metadata: {}, message, code: 500 } });
  api.onList = listOf('5', pod('a', '3'));
  api.onWatch = events();
  const { seen, cache } = start();
  await until('the list', () => cache.synced);
  assert.deepEqual([[...seen.keys()], cache.restarts], [['a'], 0]);
});

test('only what is to be kept of an object is kept, listed, watched or learnt', async () => {
  const large = (name: string, version: string) => ({ ...pod(name, version), data: { large: 'x' } });
  api.onList = listOf('5', large('a', '3'));
  api.onWatch = events({ type: 'ADDED', object: large('b', '6') });
  const kept: (KubeObject | undefined)[] = [];
  const { seen, cache } = start({
    keep: ({ metadata }) => ({ metadata }),
    onChange: (_, after) => kept.push(after),
  });
  await until('the change', () => kept.length === 2);
  cache.learn(large('c', '7'));
  assert.deepEqual(
    kept.map((object) => Object.keys(object ?? {})),
    [['metadata'], ['metadata'], ['metadata']],
  );
  assert.equal(seen.size, 0);
});

test('of a large object whose content nobody needs, or that is known, only the metadata are read', async () => {
  const large = (name: string, version: string) => ({ ...pod(name, version), data: 'x'.repeat(100_000) });
  const small = (name: string, version: string) => ({ ...pod(name, version), data: 'x' });
  api.onStream = events(
    { type: 'ADDED', object: large('own', '3') },
    { type: 'ADDED', object: large('foreign', '4') },
    { type: 'ADDED', object: small('foreign-too', '4') },
    { type: 'BOOKMARK', object: { metadata: { annotations: END, resourceVersion: '5' } } },
  );
  const answer = events(
    { type: 'MODIFIED', object: large('own', '6') },
    { type: 'MODIFIED', object: large('own', '7') },
    { type: 'MODIFIED', object: large('foreign', '8') },
    { type: 'DELETED', object: large('foreign', '9') },
  );
  // The answer to a write comes before the event of this write.
  api.onWatch = (...all) => {
    running?.learn(large('own', '6'));
    answer(...all);
  };
  const read: [string, string | undefined, boolean][] = [];
  const changed: (string | undefined)[] = [];
  start({
    needsContent: ({ metadata }) => metadata.name === 'own',
    keep: (object) => {
      const { name, resourceVersion } = object.metadata;
      read.push([name, resourceVersion, 'data' in object]);
      return object;
    },
    onChange: (before, after) => changed.push((after ?? before)?.metadata.resourceVersion),
  });
  await until('the last event', () => changed.length === 7);
  assert.deepEqual(read, [
    ['own', '3', true],
    ['foreign', '4', false],
    ['foreign-too', '4', true],
    ['own', '6', true],
    ['own', '6', false],
    ['own', '7', true],
    ['foreign', '8', false],
  ]);
  assert.deepEqual(changed, ['3', '4', '4', '6', '7', '8', '8']);
});

test('it is told once when a kind comes to exist', async () => {
  api.onList = inTurn(fails(404), fails(404), listOf('5'));
  api.onWatch = events();
  let told = 0;
  const { cache } = start({ absentMs: 1, onExists: () => told++ });
  await until('the kind', () => cache.exists);
  assert.equal(told, 1);
});
