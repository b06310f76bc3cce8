import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { until } from '#test/kit/wait.ts';
import { Client, type ConnectionNews } from './client.ts';
import { KubeConfig } from './clientnode.ts';
import { isKubeError, type KubeErrorKind } from './errors.ts';

const CUT: Readonly<Record<string, (response: ServerResponse) => void>> = {
  'ends in the middle': (response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('{"kind":', () => response.destroy());
  },
  'is no JSON': (response) => void response.end('<html>'),
};

/** The client of a server that always gives the same answer. */
async function startServer(
  t: TestContext,
  answer: (response: ServerResponse) => void,
  news: ConnectionNews = () => undefined,
  config = new KubeConfig(),
): Promise<Client> {
  const server = createServer((_, response) => answer(response));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const cluster = { name: 'test', server: `http://127.0.0.1:${port}`, skipTLSVerify: true };
  config.loadFromClusterAndUser(cluster, { name: 'test' });
  return new Client(config, news);
}

for (const [what, answer] of Object.entries(CUT)) {
  test(`an answer that ${what} is a KubeError, as every failure`, async (t) => {
    const client = await startServer(t, answer);
    await assert.rejects(client.request({ method: 'GET', path: '/' }), (error) =>
      isKubeError(error, 'unavailable'),
    );
  });
}

test('an answer that is longer than its caller can bear is a failure of this request alone', async (t) => {
  const news: string[] = [];
  const long = JSON.stringify({ items: ['x'.repeat(1_000)] });
  const client = await startServer(
    t,
    (response) => void response.end(long),
    (one) => news.push(one.kind),
  );
  const ask = (mostBytes: number) => client.request({ method: 'GET', path: '/', mostBytes });
  await assert.rejects(ask(1_000), (error) => isKubeError(error, 'failed'));
  assert.deepEqual(await ask(long.length), JSON.parse(long));
  assert.deepEqual(news, []);
});

const FAILING: readonly [string, string, KubeErrorKind, string[]][] = [
  ['in the words of the API server is of this one request', '{"kind":"Status","message":"no"}', 'failed', []],
  [
    'about a field that the API server does not know is a refusal',
    '{"kind":"Status","message":"failed to create typed patch object (mail/relay; apps/v1, Kind=StatefulSet): .spec.x: field not declared in schema"}',
    'invalid',
    [],
  ],
  ['of something before it is an absence', '<html>', 'unavailable', ['away']],
];

for (const [what, body, kind, expected] of FAILING) {
  test(`a 500 ${what}`, async (t) => {
    const news: string[] = [];
    const answer = (response: ServerResponse) => void response.writeHead(500).end(body);
    const client = await startServer(t, answer, (one) => news.push(one.kind));
    await assert.rejects(client.request({ method: 'GET', path: '/' }), (error) => isKubeError(error, kind));
    assert.deepEqual(news, expected);
  });
}

const NO_ANSWER: Readonly<Record<string, (response: ServerResponse) => void>> = {
  'comes too late': () => undefined,
  'is a 503': (response) => void response.writeHead(503).end(),
  'stops in the middle': (response) => void response.writeHead(200).write('{"kind":'),
};

for (const [what, answer] of Object.entries(NO_ANSWER)) {
  test(`an answer that ${what}, and that its caller can do without, is no absence of the server`, async (t) => {
    const news: string[] = [];
    const client = await startServer(t, answer, (one) => news.push(one.kind));
    const ask = (isDispensable: boolean) =>
      client.request({ method: 'GET', path: '/', timeoutMs: 100, isDispensable });
    await assert.rejects(ask(true), (error) => isKubeError(error, 'unavailable'));
    assert.deepEqual(news, []);
    await assert.rejects(ask(false), (error) => isKubeError(error, 'unavailable'));
    assert.deepEqual(news, ['away']);
  });
}

test('a write that is late while others are answered fails alone, and one that nobody else passes is an absence', async (t) => {
  for (const answersOthers of [true, false]) {
    const news: string[] = [];
    let count = 0;
    const answer = (response: ServerResponse) => void (count++ > 0 && response.end('{}'));
    const client = await startServer(t, answer, ({ kind }) => news.push(kind));
    const late = client.request({ method: 'PATCH', path: '/', timeoutMs: 500, failsAlone: true });
    const kind = answersOthers ? 'failed' : 'unavailable';
    const ended = assert.rejects(late, (error) => isKubeError(error, kind));
    await until('the write', () => count === 1);
    if (answersOthers) await client.request({ method: 'GET', path: '/' });
    await ended;
    assert.deepEqual(news, answersOthers ? [] : ['away']);
  }
});

const PAUSES: readonly [string, number | undefined][] = [
  ['3', 3],
  ['60', 60],
  ['86400', 60],
  ['1e300', 60],
  ['Sun, 29 Nov 2026 12:00:00 GMT', undefined],
];

for (const [header, expected] of PAUSES) {
  test(`a server that asks for a pause by Retry-After: ${header} gets ${expected} seconds`, async (t) => {
    const client = await startServer(t, (response) =>
      response.writeHead(429, { 'retry-after': header }).end(),
    );
    await assert.rejects(
      client.request({ method: 'GET', path: '/' }),
      (error) => isKubeError(error) && error.retryAfter === expected,
    );
  });
}

/** A configuration whose credentials come when the test says so. */
class SlowConfig extends KubeConfig {
  asked = 0;
  readonly coming = Promise.withResolvers<void>();

  override async applySecurityAuthentication(): Promise<void> {
    this.asked += 1;
    await this.coming.promise;
  }
}

test('credentials that do not come are waited for as long as for an answer, once for all requests', async (t) => {
  const news: string[] = [];
  const config = new SlowConfig();
  const client = await startServer(
    t,
    (response) => void response.end('{}'),
    (one) => news.push(one.kind),
    config,
  );
  const ask = (timeoutMs: number) => client.request({ method: 'GET', path: '/', timeoutMs });
  for (let count = 0; count < 2; count++)
    await assert.rejects(
      ask(50),
      (error) => isKubeError(error, 'unavailable') && /credentials/.test(error.message),
    );
  const stop = new AbortController();
  const watch = client.lines({ method: 'GET', path: '/' }, stop.signal)[Symbol.asyncIterator]();
  const line = watch.next();
  stop.abort();
  await assert.rejects(line, (error) => isKubeError(error, 'unavailable'));
  assert.deepEqual([config.asked, news], [1, ['away']]);
  const last = ask(15_000);
  config.coming.resolve();
  assert.deepEqual(await last, {});
  assert.deepEqual([config.asked, news], [1, ['away', 'back']]);
});

test('the time is that of the server, where the clocks are apart', async (t) => {
  const hour = 3_600_000;
  for (const apart of [3 * hour, -5 * hour]) {
    let date: string | undefined = new Date(Date.now() + apart).toUTCString();
    const client = await startServer(t, (response) => {
      response.sendDate = false;
      response.writeHead(200, date === undefined ? {} : { date }).end('{}');
    });
    const ask = async () => {
      await client.request({ method: 'GET', path: '/' });
      return client.now() - Date.now();
    };
    assert.ok(Math.abs((await ask()) - apart) < 60_000, `${apart}`);
    date = undefined;
    assert.ok(Math.abs((await ask()) - apart) < 60_000, 'an answer without one says nothing');
    date = new Date().toUTCString();
    assert.ok(Math.abs(await ask()) < 60_000);
    date = new Date(Date.now() - 120_000).toUTCString();
    assert.ok(Math.abs(await ask()) < 60_000, 'another server, whose clock is apart');
  }
});
