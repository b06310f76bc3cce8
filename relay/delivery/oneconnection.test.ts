/**
 * Providers and hosts that allow one connection at a time. A connection that failed is closed before the next one begins,
 * whatever it failed of, and a hop that keeps its side open holds up nothing for long.
 */
import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { wayTo } from '#test/kit/hopway.ts';
import { hopTo, makeParcel, policyOf } from '#test/kit/relayrig.ts';
import { NO_MATERIALS } from '../task/materials.ts';
import type { HopResult } from './attempt.ts';
import { AttemptBudget } from './budget.ts';
import { SmtpClient } from './smtpclient.ts';

const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

/** A hop that answers by line and closes its side only a moment after the client, or never. It counts open sockets. */
async function slowToClose(answer: (line: string) => string, closesAfterMs: number | null) {
  const count = { open: 0, most: 0, made: 0 };
  const serve = (socket: Socket) => {
    count.made += 1;
    count.open += 1;
    count.most = Math.max(count.most, count.open);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      count.open -= 1;
    });
    socket.on('end', () => {
      if (closesAfterMs !== null) void pause(closesAfterMs).then(() => socket.end());
    });
    ends.push(() => socket.destroy());
    socket.write(answer(''));
    socket.on('data', (chunk) => {
      for (const line of chunk.toString().split('\r\n').slice(0, -1)) socket.write(answer(line));
    });
  };
  const server = createServer({ allowHalfOpen: true }, serve);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => server.close());
  return { count, port: (server.address() as AddressInfo).port };
}

function makeClient(connections: number | null): SmtpClient {
  const limits = { connections, messagesPerMinute: null, messagesPerConnection: 100 };
  const provider = { name: 'big', mxHosts: ['*.big.example'], limits, warmUp: null, retry: null };
  const client = new SmtpClient(policyOf({}, { providers: [provider] }), NO_MATERIALS, {
    session: () => undefined,
    follows: () => false,
  });
  ends.push(() => client.close());
  return client;
}

async function deliver(client: SmtpClient, port: number): Promise<HopResult> {
  const budget = new AttemptBudget();
  const way = wayTo({ ...hopTo(port, { host: 'mx.big.example' }), mxOf: 'a.example' });
  const result = await client.deliver(way, '127.0.0.1', makeParcel('Subject: x\r\n\r\nx\r\n'), budget);
  budget.close();
  return result;
}

for (const [what, answers] of [
  ['the greeting', { '': '554 5.3.2 no\r\n' }],
  ['EHLO', { EHLO: '421 4.3.2 busy\r\n' }],
  ['MAIL', { MAIL: '421 4.3.2 busy\r\n' }],
  ['a name that is ours', { EHLO: '250 relay.example.com\r\n' }],
] as const)
  test(`a provider of one connection gets no second one while one that failed at ${what} is open`, async () => {
    const replies: Readonly<Record<string, string>> = { '': '220 mx\r\n', EHLO: '250 mx\r\n', ...answers };
    const { count, port } = await slowToClose((line) => replies[line.slice(0, 4)] ?? '250 ok\r\n', 100);
    const client = makeClient(1);
    const results = await Promise.all(Array.from({ length: 3 }, () => deliver(client, port)));
    assert.ok(results.every(({ kind }) => kind === 'unreachable'));
    assert.deepEqual([count.made, count.most], [3, 1]);
  });

for (const busyAt of ['EHLO', 'MAIL'])
  test(`an address is left before the next one is asked, also without a limit of ours: ${busyAt}`, async () => {
    const answer = (line: string) => (line.startsWith(busyAt) ? '421 busy\r\n' : '250 ok\r\n');
    const { count, port } = await slowToClose((line) => (line === '' ? '220 mx\r\n' : answer(line)), 100);
    const client = makeClient(null);
    for (let times = 0; times < 3; times++) await deliver(client, port);
    assert.deepEqual([count.made, count.most], [3, 1]);
  });

test('a hop that keeps its side open is cut, and holds up nothing for long', async (context) => {
  const { count, port } = await slowToClose((line) => (line === '' ? '220 mx\r\n' : '421 busy\r\n'), null);
  const closing = Promise.withResolvers<void>();
  const { setTimeout: real } = globalThis;
  context.mock.method(globalThis, 'setTimeout', (act: () => void, ms: number) => {
    // The time that the library gives a hop to close.
    if (ms === 5_000) closing.resolve();
    return real(act, ms === 5_000 ? 50 : ms);
  });
  const result = await deliver(makeClient(1), port);
  await closing.promise;
  assert.equal(result.kind, 'unreachable');
  assert.equal(count.made, 1);
});

test('a relay that stops waits for no hop that keeps its side open', async (context) => {
  const { port } = await slowToClose((line) => {
    if (line === '') return '220 mx\r\n';
    return line.startsWith('MAIL') ? '421 busy\r\n' : '250 ok\r\n';
  }, null);
  const leaving = Promise.withResolvers<void>();
  const { setTimeout: real } = globalThis;
  context.mock.method(globalThis, 'setTimeout', (act: () => void, ms: number) => {
    // The library would cut the hop then, and shall not in this test.
    if (ms === 5_000) leaving.resolve();
    return real(act, ms === 5_000 ? 600_000 : ms).unref();
  });
  const client = makeClient(null);
  const delivered = deliver(client, port);
  await leaving.promise;
  // The answer has been judged, and only the end of the connection is awaited.
  await pause(50);
  client.close();
  assert.equal((await delivered).kind, 'unreachable');
});
