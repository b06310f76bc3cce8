/** The supervised list-watch against a real HTTP server that speaks the watch protocol and makes faults. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { until } from '#test/kit/wait.ts';
import { Client, type KubeObject } from './client.ts';
import { POD } from './kinds.ts';
import { ListWatch } from './listwatch.ts';

type Answer = (request: IncomingMessage, response: ServerResponse, url: URL) => void;

let server: Server;
let client: Client;
let lists: URL[] = [];
let watches: URL[] = [];
let onList: Answer;
let onWatch: Answer;
/** Most servers before 1.32 refuse to stream a list. */
const REFUSED: Answer = (request, response, url) => fails(422)(request, response, url);
let onStream = REFUSED;
/** The last event of a streamed list has this annotation. */
const END = { 'k8s.io/initial-events-end': 'true' };
let running: ListWatch | undefined;
/**
 * Each list-watch has its own namespace, so that a test does not take the last request of the test before for its own.
 */
let namespace = 'mail-0';
let starts = 0;
const news: string[] = [];

const pod = (name: string, resourceVersion: string): KubeObject => ({
  metadata: { name, namespace: 'mail', resourceVersion },
});
const json = (response: ServerResponse, status: number, body: unknown) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
const listOf =
  (version: string, ...items: KubeObject[]): Answer =>
  (_request, response) =>
    json(response, 200, { items, metadata: { resourceVersion: version } });
const fails =
  (status: number, message = 'no'): Answer =>
  (_request, response) =>
    json(response, status, { kind: 'Status', message });
/** Sends events and stays open. */
const events =
  (...lines: unknown[]): Answer =>
  (_request, response) => {
    response.writeHead(200);
    for (const line of lines) response.write(`${JSON.stringify(line)}\n`);
  };
/** Gives the answers one after the other, and then the last one again and again. */
function inTurn(...answers: Answer[]): Answer {
  return (request, response, url) =>
    (answers.length > 1 ? answers.shift() : answers[0])?.(request, response, url);
}

before(async () => {
  server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://api');
    if (!url.pathname.includes(`/${namespace}/`)) return void request.socket.destroy();
    if (url.searchParams.has('sendInitialEvents')) return void onStream(request, response, url);
    const watching = url.searchParams.get('watch') === 'true';
    (watching ? watches : lists).push(url);
    (watching ? onWatch : onList)(request, response, url);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { KubeConfig } = await import('./clientnode.ts');
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    {
      name: 'test',
      server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      skipTLSVerify: true,
    },
    { name: 'test' },
  );
  client = new Client(config, ({ kind }) => news.push(kind));
});

afterEach(() => {
  running?.stop();
  server.closeAllConnections();
  lists = [];
  watches = [];
  news.length = 0;
  onStream = REFUSED;
});

after(() => server.close());

function start(options: Partial<ConstructorParameters<typeof ListWatch>[0]> = {}) {
  const seen = new Map<string, string | undefined>();
  const troubles: string[] = [];
  namespace = `mail-${++starts}`;
  running = new ListWatch({
    client,
    kind: POD,
    namespace,
    labelSelector: 'a=b',
    random: () => 0,
    onChange: (before, now) => {
      const { name } = ((now ?? before) as KubeObject).metadata;
      if (now) seen.set(name, now.metadata.resourceVersion);
      else seen.delete(name);
    },
    onTrouble: (_kind, message) => troubles.push(message),
    ...options,
  });
  running.start();
  return { seen, troubles, cache: running };
}

test('lists, then watches from there with bookmarks and the selector, and hears changes', async () => {
  onList = listOf('5', pod('a', '3'), pod('b', '4'));
  onWatch = events(
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
  const query = watches[0]?.searchParams;
  assert.equal(query?.get('resourceVersion'), '5');
  assert.equal(query?.get('allowWatchBookmarks'), 'true');
  assert.equal(query?.get('labelSelector'), 'a=b');
  assert.ok(Number(query?.get('timeoutSeconds')) >= 290);
});

test('a watch that is cut goes on from the last bookmark, without a list', async () => {
  onList = listOf('5');
  onWatch = inTurn((_request, response) => {
    response.writeHead(200);
    response.write(
      `${JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '42' } } })}\n`,
    );
    setTimeout(() => response.destroy(), 50);
  }, events());
  start();
  await until('the second watch', () => watches.length === 2);
  assert.equal(watches[1]?.searchParams.get('resourceVersion'), '42');
  assert.equal(lists.length, 1);
});

test('410, as a status and as an event, lists again and drops what is gone', async () => {
  for (const expired of [
    fails(410),
    events({ type: 'ERROR', object: { code: 410, message: 'too old', metadata: {} } }),
  ]) {
    running?.stop();
    lists = [];
    onList = inTurn(listOf('5', pod('a', '3'), pod('b', '4')), listOf('9', pod('b', '8')));
    onWatch = inTurn(expired, events());
    const { seen } = start();
    await until('the second list', () => seen.size === 1 && seen.get('b') === '8');
    assert.equal(lists.length, 2);
  }
});

for (const status of [401, 403, 429, 500, 503]) {
  test(`${status} never stops it, and it recovers by itself`, async () => {
    onList = inTurn(fails(status), fails(status), listOf('5', pod('a', '3')));
    onWatch = inTurn(fails(status), events({ type: 'ADDED', object: pod('c', '8') }));
    const { seen, troubles } = start();
    await until('the change', () => seen.has('c'));
    // A fault of this kind alone, or of the server.
    const isOwn = status === 403 || status === 500;
    assert.deepEqual(troubles, isOwn ? ['no', 'no'] : []);
    assert.deepEqual(news, isOwn ? [] : ['away', 'back', 'away', 'back']);
  });
}

test('a connection that is reset, or sends what is not JSON, is taken up again', async () => {
  onList = inTurn((request) => request.socket.destroy(), listOf('5'));
  onWatch = inTurn(
    (_request, response) => response.writeHead(200).end('not json\n'),
    events({ type: 'ADDED', object: pod('c', '8') }),
  );
  const { seen } = start();
  await until('the change', () => seen.has('c'));
});

test('an answer that is cut in the middle is an absence of the server', async () => {
  onList = inTurn(
    (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
      response.write('{"items": [');
      setTimeout(() => response.destroy(), 50);
    },
    listOf('5', pod('a', '3')),
  );
  onWatch = events();
  const { seen } = start();
  await until('the whole list', () => seen.has('a'));
  assert.deepEqual(news, ['away', 'back']);
});

test('what a write was answered is seen before the watch tells of it, and never what is older', async () => {
  onList = listOf('5', pod('a', '3'));
  onWatch = events({ type: 'MODIFIED', object: pod('a', '7') }, { type: 'DELETED', object: pod('b', '8') });
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
  onList = listOf('5');
  onWatch = inTurn(events({ type: 'ADDED', object: pod('a', '6') }), events());
  const { seen, cache } = start();
  await until('the watch', () => seen.has('a'));
  cache.renew();
  await until('the second watch', () => watches.length === 2);
  assert.equal(watches[1]?.searchParams.get('resourceVersion'), '6');
  assert.equal(cache.restarts, 0);
  assert.equal(lists.length, 1);
  assert.deepEqual(news, []);
});

test('a watch that is silent for too long is given up', async () => {
  onList = listOf('5');
  onWatch = inTurn(events(), events({ type: 'ADDED', object: pod('c', '8') }));
  const { seen, cache } = start({ silenceMs: 200 });
  await until('the change', () => seen.has('c'));
  assert.ok(cache.restarts >= 1);
});

test('a list of many pages is one world', async () => {
  onList = (_request, response, url) =>
    url.searchParams.get('continue') === 'more'
      ? json(response, 200, { items: [pod('b', '2')], metadata: { resourceVersion: '5' } })
      : json(response, 200, { items: [pod('a', '1')], metadata: { resourceVersion: '5', continue: 'more' } });
  onWatch = events();
  const { seen, cache } = start();
  await until('both pages', () => cache.synced);
  assert.deepEqual([...seen.keys()], ['a', 'b']);
});

test('a kind that the cluster does not know is an empty cache, where that is allowed', async () => {
  onList = fails(404);
  const { cache, troubles } = start({ absentMs: 30_000 });
  await until('the cache', () => cache.synced);
  assert.equal(cache.exists, false);
  assert.deepEqual(troubles, []);
});

test('an optional kind is gone when the server has said so twice in a row', async () => {
  onList = listOf('5', pod('a', '3'));
  onWatch = inTurn(fails(404), events({ type: 'ADDED', object: pod('b', '6') }));
  const { seen, cache, troubles } = start({ absentMs: 30_000 });
  await until('the watch after that', () => seen.has('b'));
  assert.deepEqual([...seen.keys()], ['a', 'b']);
  assert.deepEqual([cache.exists, cache.refused, troubles, lists.length], [true, false, [], 1]);
  onList = fails(404);
  onWatch = fails(404);
  cache.renew();
  await until('the end of the kind', () => !cache.exists);
  assert.deepEqual([[...seen.keys()], troubles], [[], []]);
});

test('a list is streamed where the server can, and is taken when it is complete', async () => {
  const added = ['a', 'b'].map((name) => ({ type: 'ADDED', object: pod(name, '3') }));
  onStream = inTurn(
    // The list breaks off in the middle, so it does not count.
    (_request, response) => response.writeHead(200).end(`${JSON.stringify(added[0])}\n`),
    events(...added, {
      type: 'BOOKMARK',
      object: { metadata: { resourceVersion: '5', annotations: END } },
    }),
  );
  onList = fails(500);
  onWatch = events({ type: 'ADDED', object: pod('c', '6') });
  const { seen, cache } = start();
  await until('the change', () => seen.has('c'));
  assert.deepEqual([...seen.keys()], ['a', 'b', 'c']);
  assert.equal(watches[0]?.searchParams.get('resourceVersion'), '5');
  assert.deepEqual(lists, []);
  assert.equal(cache.restarts, 1);
});

test('only what is to be kept of an object is kept, listed, watched or learnt', async () => {
  const large = (name: string, version: string) => ({ ...pod(name, version), data: { large: 'x' } });
  onList = listOf('5', large('a', '3'));
  onWatch = events({ type: 'ADDED', object: large('b', '6') });
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
  onStream = events(
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
  onWatch = (...all) => {
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
  onList = inTurn(fails(404), fails(404), listOf('5'));
  onWatch = events();
  let told = 0;
  const { cache } = start({ absentMs: 1, onExists: () => told++ });
  await until('the kind', () => cache.exists);
  assert.equal(told, 1);
});
