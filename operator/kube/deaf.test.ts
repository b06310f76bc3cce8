/** What may not be read any more is deaf after some refusals, and hears again as soon as it may be read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '#test/kit/wait.ts';
import { api, events, fails, inTurn, listOf, pod, start } from '#test/kit/watchserver.ts';

const END = { 'k8s.io/initial-events-end': 'true' };
const REFUSALS = [fails(403), fails(404), fails(403), fails(404)];

test('it hears again at once, though nothing happens, and is whole then', async () => {
  const end = { type: 'BOOKMARK', object: { metadata: { resourceVersion: '9', annotations: END } } };
  const listed = (name: string) => events({ type: 'ADDED', object: pod(name, '3') }, end);
  api.onStream = inTurn(listed('a'), fails(403), listed('b'));
  // The server sends a bookmark after a minute.
  api.onWatch = inTurn(...REFUSALS, events());
  const told: string[] = [];
  const { seen, cache } = start({
    onOverdue: () => told.push('deaf'),
    onRecovered: () => told.push('hears'),
  });
  await until('it to be deaf', () => cache.isDeaf);
  cache.renew();
  await until('the news', () => !cache.isDeaf);
  await until('the watch', () => api.watches.length === 5);
  assert.deepEqual([[...seen.keys()], told], [['b'], ['deaf', 'hears']]);
});

test('a server that streams no list is only watched meanwhile: to list may be all that is allowed', async () => {
  api.onList = listOf('5', pod('a', '3'));
  api.onWatch = fails(403);
  const { cache } = start();
  for (let count = 2; count < 8; count++) {
    await until('a watch', () => api.watches.length === count);
    cache.renew();
  }
  await until('it to be deaf', () => cache.isDeaf);
  const told = api.watches.length;
  await until('another watch', () => api.watches.length > told);
  assert.deepEqual([cache.isDeaf, api.lists.length], [true, 1]);
});

test('on such a server a watch that may be had again is short, and its end tells it', async () => {
  api.onList = listOf('5', pod('a', '3'));
  const ends: typeof api.onWatch = (_request, response) => {
    response.writeHead(200).flushHeaders();
    setTimeout(() => response.end(), 1_100);
  };
  api.onWatch = inTurn(...REFUSALS, ends, events());
  const { cache } = start();
  const failures = cache.restarts;
  for (let count = 1; count <= REFUSALS.length; count++) {
    await until('a refusal', () => cache.restarts === failures + count);
    cache.renew();
  }
  await until('it to hear again', () => api.watches.length === 6 && !cache.isDeaf);
  const seconds = api.watches.map(({ searchParams }) => Number(searchParams.get('timeoutSeconds')) < 60);
  assert.deepEqual(seconds, [false, false, false, false, true, false]);
  assert.equal(api.lists.length, 1);
});

test('an absence of the server in between does not hide why it is deaf', async () => {
  api.onList = listOf('5', pod('a', '3'));
  api.onWatch = inTurn(...Array.from({ length: 4 }, () => fails(403, 'no rights')), fails(503, 'away'));
  const { cache } = start();
  for (let count = 1; count <= 5; count++) {
    await until('a failure', () => cache.restarts === count);
    cache.renew();
  }
  assert.deepEqual([cache.isDeaf, cache.failure], [true, 'no rights']);
});

const cutOff: typeof api.onWatch = (_request, response) => {
  response.writeHead(200).write('{');
  setTimeout(() => response.destroy(), 20);
};
for (const [what, ends] of [
  ['a connection that ends', cutOff],
  ['a token that is not known', fails(401, 'who?')],
] as const)
  test(`${what} does not hide it either`, async () => {
    api.onList = listOf('5', pod('a', '3'));
    api.onWatch = inTurn(...Array.from({ length: 4 }, () => fails(403, 'no rights')), ends, fails(503));
    const { cache } = start();
    for (let count = 1; count <= 5; count++) {
      await until('a failure', () => cache.restarts === count);
      cache.renew();
    }
    assert.equal(cache.failure, 'no rights');
  });

test('one refusal after an absence of the server makes it not deaf, and several around one do', async () => {
  api.onList = listOf('5', pod('a', '3'));
  const heard = events({ type: 'ADDED', object: pod('b', '6') });
  api.onWatch = inTurn(fails(503), fails(503), fails(503), fails(403), heard);
  const { seen, cache } = start();
  await until('the refusal', () => cache.refused);
  assert.equal(cache.isDeaf, false);
  cache.renew();
  await until('the server', () => seen.has('b'));
  api.onWatch = inTurn(fails(403), fails(403), fails(503), fails(403), fails(503), fails(403));
  cache.renew();
  for (let count = 5; count < 10; count++) {
    await until('a failure', () => cache.restarts === count);
    assert.equal(cache.isDeaf, false);
    cache.renew();
  }
  await until('it to be deaf', () => cache.isDeaf);
});
