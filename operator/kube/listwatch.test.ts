/** The supervised list-watch against a real HTTP server that speaks the watch protocol and makes faults. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '#test/kit/wait.ts';
import {
  api,
  events,
  fails,
  inTurn,
  json,
  listOf,
  news,
  pod,
  running,
  start,
} from '#test/kit/watchserver.ts';

test('lists, then watches from there with bookmarks and the selector, and hears changes', async () => {
  api.onList = listOf('5', pod('a', '3'), pod('b', '4'));
  api.onWatch = events(
    { type: 'MODIFIED', object: pod('a', '6') },
    { type: 'DELETED', object: pod('b', '7') },
    { type: 'ADDED', object: pod('c', '8') },
  );
  const { seen, cache } = start();
  await until('the changes', () => seen.get('c') === '8');
  assert.deepEqual(
    [...seen],
    [
      ['a', '6'],
      ['c', '8'],
    ],
  );
  assert.ok(cache.synced);
  const query = api.watches[0]?.searchParams;
  assert.equal(query?.get('resourceVersion'), '5');
  assert.equal(query?.get('allowWatchBookmarks'), 'true');
  assert.equal(query?.get('labelSelector'), 'a=b');
  assert.ok(Number(query?.get('timeoutSeconds')) >= 290);
});

test('a watch that is cut goes on from the last bookmark, without a list', async () => {
  api.onList = listOf('5');
  api.onWatch = inTurn((_request, response) => {
    response.writeHead(200);
    response.write(
      `${JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '42' } } })}\n`,
    );
    setTimeout(() => response.destroy(), 50);
  }, events());
  start();
  await until('the second watch', () => api.watches.length === 2);
  assert.equal(api.watches[1]?.searchParams.get('resourceVersion'), '42');
  assert.equal(api.lists.length, 1);
});

test('410, as a status and as an event, lists again and drops what is gone', async () => {
  for (const expired of [
    fails(410),
    events({ type: 'ERROR', object: { code: 410, message: 'too old', metadata: {} } }),
  ]) {
    running?.stop();
    api.lists = [];
    api.onList = inTurn(listOf('5', pod('a', '3'), pod('b', '4')), listOf('9', pod('b', '8')));
    api.onWatch = inTurn(expired, events());
    const { seen } = start();
    await until('the second list', () => seen.size === 1 && seen.get('b') === '8');
    assert.equal(api.lists.length, 2);
  }
});

for (const status of [401, 403, 429, 500, 503]) {
  test(`${status} never stops it, and it recovers by itself`, async () => {
    api.onList = inTurn(fails(status), fails(status), listOf('5', pod('a', '3')));
    api.onWatch = inTurn(fails(status), events({ type: 'ADDED', object: pod('c', '8') }));
    const { seen, troubles } = start();
    await until('the change', () => seen.has('c'));
    // A fault of this kind alone, or of the server.
    const isOwn = status === 403 || status === 500;
    assert.deepEqual(troubles, isOwn ? ['no', 'no'] : []);
    assert.deepEqual(news, isOwn ? [] : ['away', 'back', 'away', 'back']);
  });
}

test('a connection that is reset, or sends what is not JSON, is taken up again', async () => {
  api.onList = inTurn((request) => request.socket.destroy(), listOf('5'));
  api.onWatch = inTurn(
    (_request, response) => response.writeHead(200).end('not json\n'),
    events({ type: 'ADDED', object: pod('c', '8') }),
  );
  const { seen } = start();
  await until('the change', () => seen.has('c'));
});

test('an answer that is cut in the middle is an absence of the server', async () => {
  api.onList = inTurn(
    (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
      response.write('{"items": [');
      setTimeout(() => response.destroy(), 50);
    },
    listOf('5', pod('a', '3')),
  );
  api.onWatch = events();
  const { seen } = start();
  await until('the whole list', () => seen.has('a'));
  assert.deepEqual(news, ['away', 'back']);
});

test('what a write was answered is seen before the watch tells of it, and never what is older', async () => {
  api.onList = listOf('5', pod('a', '3'));
  api.onWatch = events(
    { type: 'MODIFIED', object: pod('a', '7') },
    { type: 'DELETED', object: pod('b', '8') },
  );
  const { seen, cache } = start();
  await until('the events', () => seen.get('a') === '7');
  cache.learn(pod('c', '9'));
  assert.equal(seen.get('c'), '9');
  cache.learn(pod('b', '6'));
  assert.equal(seen.has('b'), false, 'it is gone since');
  cache.learn(pod('a', '4'));
  assert.equal(seen.get('a'), '7');
});

test('a watch that is renewed goes on from where it was at once, and is no failure', async () => {
  api.onList = listOf('5');
  api.onWatch = inTurn(events({ type: 'ADDED', object: pod('a', '6') }), events());
  const { seen, cache } = start();
  await until('the watch', () => seen.has('a'));
  cache.renew();
  await until('the second watch', () => api.watches.length === 2);
  assert.equal(api.watches[1]?.searchParams.get('resourceVersion'), '6');
  assert.equal(cache.restarts, 0);
  assert.equal(api.lists.length, 1);
  assert.deepEqual(news, []);
});

test('a watch that is silent for too long is given up', async () => {
  api.onList = listOf('5');
  api.onWatch = inTurn(events(), events({ type: 'ADDED', object: pod('c', '8') }));
  const { seen, cache } = start({ silenceMs: 200 });
  await until('the change', () => seen.has('c'));
  assert.ok(cache.restarts >= 1);
});

test('a list of many pages is one world', async () => {
  api.onList = (_request, response, url) =>
    url.searchParams.get('continue') === 'more'
      ? json(response, 200, { items: [pod('b', '2')], metadata: { resourceVersion: '5' } })
      : json(response, 200, { items: [pod('a', '1')], metadata: { resourceVersion: '5', continue: 'more' } });
  api.onWatch = events();
  const { seen, cache } = start();
  await until('both pages', () => cache.synced);
  assert.deepEqual([...seen.keys()], ['a', 'b']);
});
