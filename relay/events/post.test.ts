import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import { makeAuthority } from '#test/kit/ca.ts';
import { until } from '#test/kit/wait.ts';
import { Webhook } from '#test/kit/webhook.ts';
import { makeAgent, post } from './post.ts';
import { readKeys, signRequest } from './signature.ts';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const BODY = Buffer.from('{"data":{"events":[]}}');

let hook: Webhook;
let trusted: string;

before(async () => {
  const authority = await makeAuthority();
  trusted = authority.cert;
  hook = await Webhook.start(await authority.issue(['localhost']), SECRET);
});
after(() => hook.stop());
beforeEach(() => {
  hook.manner = 'take';
});

function send(
  host = 'localhost',
  ca: string | undefined = trusted,
  signal = new AbortController().signal,
  agent = makeAgent(createSecureContext(ca === undefined ? {} : { ca })),
) {
  const keys = readKeys(SECRET) ?? [];
  return post(`https://${host}:${hook.port}/hook?a=b`, BODY, {
    headers: signRequest(keys, { id: 'msg_1', sentAt: Date.now(), body: BODY }),
    agent,
    signal,
  });
}

test('a 2xx takes the events; the receiver finds the signature right', async () => {
  assert.deepEqual(await send(), { kind: 'taken' });
  assert.equal(hook.unsigned, 0);
});

test('requests that follow each other share a connection, and one after a pause has its own', async () => {
  const agent = makeAgent(createSecureContext({ ca: trusted }));
  const before = hook.connections;
  for (let count = 0; count < 5; count++) {
    assert.deepEqual(await send('localhost', trusted, undefined, agent), { kind: 'taken' });
    await sleep(20);
  }
  assert.equal(hook.connections, before + 1);
  await sleep(1_000);
  assert.deepEqual(await send('localhost', trusted, undefined, agent), { kind: 'taken' });
  assert.equal(hook.connections, before + 2);
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
    [413, 'refused'],
    [422, 'refused'],
    [408, 'failed'],
    [429, 'failed'],
    [503, 'erred'],
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
