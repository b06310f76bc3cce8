import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import { createSecureContext, createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { type Authority, makeAuthority, type Pair } from '#test/kit/ca.ts';
import { until } from '#test/kit/wait.ts';
import { Webhook } from '#test/kit/webhook.ts';
import { post } from './post.ts';
import { readKeys, signRequest } from './signature.ts';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const BODY = Buffer.from('{"data":{"events":[]}}');

let hook: Webhook;
let authority: Authority;
let pair: Pair;
let trusted: string;

before(async () => {
  authority = await makeAuthority();
  trusted = authority.cert;
  pair = await authority.issue(['localhost']);
  hook = await Webhook.start(pair, SECRET);
});
after(() => hook.stop());
beforeEach(() => {
  hook.manner = 'take';
});

function send(host = 'localhost', ca: string | undefined = trusted, signal = new AbortController().signal) {
  const keys = readKeys(SECRET) ?? [];
  return post(`https://${host}:${hook.port}/hook?a=b`, BODY, {
    headers: signRequest(keys, { id: 'msg_1', sentAt: Date.now(), body: BODY }),
    context: createSecureContext(ca === undefined ? {} : { ca }),
    signal,
  });
}

const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';

/** A receiver that does this with each connection. `ask` sends requests as one sender does. */
async function serve(manner: (socket: TLSSocket) => void, options: TlsOptions = {}) {
  const server = createServer({ cert: pair.cert, key: pair.key, ...options }, (socket) => {
    socket.on('error', () => undefined);
    manner(socket);
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const context = createSecureContext({ ca: trusted });
  const { signal } = new AbortController();
  return {
    server,
    ask: (body = BODY) => post(`https://localhost:${port}/`, body, { headers: {}, context, signal }),
  };
}

test('a 2xx takes the events; the receiver finds the signature right', async () => {
  assert.deepEqual(await send(), { kind: 'taken' });
  assert.equal(hook.unsigned, 0);
});

test('a receiver may take its time', async () => {
  hook.manner = 'late';
  assert.deepEqual(await send(), { kind: 'taken' });
});

test('an answer without an end is not read', async () => {
  hook.manner = 'flood';
  assert.deepEqual(await send(), { kind: 'taken' });
});

test('a 500 may be about the events, and a redirect is not followed', async () => {
  hook.manner = 'refuse';
  assert.deepEqual(await send(), { kind: 'erred', reason: 'HTTP status 500' });
  hook.manner = 'redirect';
  const before = hook.requests;
  assert.deepEqual(await send(), {
    kind: 'failed',
    reason: 'HTTP status 302, and redirects are not followed',
  });
  assert.equal(hook.requests, before + 1);
});

test('an answer that would be the same again is a refusal', async () => {
  for (const [status, kind] of [
    [400, 'refused'],
    [413, 'too large'],
    [422, 'refused'],
    [408, 'failed'],
    [429, 'failed'],
    [500, 'erred'],
    [502, 'failed'],
    [503, 'failed'],
    [504, 'failed'],
    [507, 'failed'],
  ] as const) {
    hook.manner = status;
    assert.deepEqual(await send(), { kind, reason: `HTTP status ${status}` });
  }
});

test('the certificate must be that of the host, from a trusted authority', async () => {
  const before = hook.requests;
  for (const failed of [await send('127.0.0.1'), await send('localhost', (await makeAuthority()).cert)])
    assert.equal(failed.kind, 'failed');
  assert.equal(hook.requests, before);
});

test('a receiver that hangs is left when the process ends', async () => {
  hook.manner = 'hang';
  const closing = new AbortController();
  const before = hook.requests;
  const sent = send('localhost', trusted, closing.signal);
  await until('the request', () => hook.requests > before);
  closing.abort();
  assert.equal((await sent).kind, 'failed');
});

test('a receiver that hangs for too long is late', async ({ mock }) => {
  const timeout = AbortSignal.timeout.bind(AbortSignal);
  mock.method(AbortSignal, 'timeout', () => timeout(100));
  hook.manner = 'hang';
  assert.deepEqual(await send(), { kind: 'late', reason: 'no answer within 15 s' });
});

test('a receiver may say that a request is too large before it has read it', async () => {
  const { server, ask } = await serve((socket) =>
    socket.once('data', () => socket.end(ANSWER.replace('200 OK', '413 Content Too Large'))),
  );
  assert.equal((await ask(Buffer.alloc(256 * 1024))).kind, 'too large');
  server.close();
});

test('a certificate that is exchanged is verified at the next request, whatever session the receiver would resume', async () => {
  const ticketKeys = randomBytes(48);
  const { server, ask } = await serve((socket) => socket.once('data', () => socket.end(ANSWER)), {
    ticketKeys,
  });
  assert.deepEqual([await ask(), await ask()], [{ kind: 'taken' }, { kind: 'taken' }]);
  const other = await (await makeAuthority()).issue(['localhost']);
  server.setSecureContext({ cert: other.cert, key: other.key, ticketKeys });
  assert.equal((await ask()).kind, 'failed');
  server.close();
});

test('a receiver that ends its connections soon after its answers takes every request', async () => {
  const { server, ask } = await serve((socket) =>
    socket.on('data', () => {
      socket.write(ANSWER);
      setTimeout(() => socket.end(), 2);
    }),
  );
  for (let count = 0; count < 30; count++) assert.deepEqual(await ask(), { kind: 'taken' });
  server.close();
});

test('an answer that never ends keeps no connection', async () => {
  let open = 0;
  let most = 0;
  const { server, ask } = await serve((socket) => {
    most = Math.max(most, ++open);
    socket.once('data', () => socket.write(ANSWER.replace('length: 0', 'length: 9')));
    socket.once('close', () => --open);
  });
  for (let count = 0; count < 10; count++) assert.deepEqual(await ask(), { kind: 'taken' });
  assert.ok(most <= 2, `${most} connections`);
  server.close();
});

for (const [what, manner, options] of [
  ['ends each connection', (socket) => socket.destroy()],
  ['ends the connection without an answer', (socket) => socket.once('data', () => socket.end())],
  ['speaks no HTTP', (socket) => socket.once('data', () => socket.end('hello\r\n'))],
  ['wants a client certificate', () => undefined, { requestCert: true, rejectUnauthorized: true }],
] as readonly (readonly [string, (socket: TLSSocket) => void, TlsOptions?])[])
  test(`a receiver that ${what} says nothing about the events`, async () => {
    const { server, ask } = await serve(manner, options);
    assert.equal((await ask()).kind, 'failed');
    server.close();
  });
