/** Hops that say nothing, too little or too much: how long the client waits, and what it keeps. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { courier, ends, parcel, peer, summary } from '#test/kit/clientrig.ts';
import { holdTime } from '#test/kit/heldtime.ts';
import { hopTo } from '#test/kit/relayrig.ts';
import type { HopResult } from './attempt.ts';

test('closing ends a connection that is still being made', async () => {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  ends.push(() => silent.close());
  const one = courier();
  const result = one.deliver(hopTo((silent.address() as AddressInfo).port), parcel());
  one.close();
  assert.equal((await result).kind, 'unreachable');
});

async function passing(
  ms: number,
  pass: (ms: number) => void,
  begun: Promise<unknown>,
  result: Promise<HopResult>,
) {
  await begun;
  // The client sees the connection in a later turn of the event loop.
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  pass(ms);
  return result;
}

test('a next hop that accepts and says nothing is given up after five minutes', async (context) => {
  const pass = holdTime(context);
  const connected = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    connected.resolve();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const delivery = courier().deliver(hopTo(port, { tlsLevel: 'None' }), parcel());
  const result = await passing(5 * 60_000, pass, connected.promise, delivery);
  assert.ok(result.kind === 'unreachable' && !result.hadSession);
  assert.equal(result.failure.status, '4.4.1');
  assert.equal(result.failure.cause, 'greeting');
  assert.match(result.failure.text, /^127\.0\.0\.1:\d+: no whole reply within five minutes/);
});

test('a next hop that answers a byte now and then is given up after five minutes', async (context) => {
  const pass = holdTime(context);
  const asked = Promise.withResolvers<void>();
  const slow = await peer((line, socket) => {
    if (!line.startsWith('MAIL')) return line.startsWith('EHLO') ? '250 peer' : undefined;
    socket.write('2');
    asked.resolve();
    return undefined;
  });
  const delivery = courier().deliver(hopTo(slow.port, { tlsLevel: 'None' }), parcel());
  const result = await passing(5 * 60_000, pass, asked.promise, delivery);
  assert.ok(result.kind === 'unreachable' && result.hadSession);
  assert.match(result.failure.text, /no whole reply within five minutes, only 2$/);
});

/** The replies of a hop that accepts everything, except for one line. */
function usual(line: string): string | undefined {
  if (line === 'DATA') return '354 go on';
  return /^(EHLO|MAIL|RCPT|QUIT|\.$)/.test(line) ? '250 ok' : undefined;
}

/** Waits until data on the sockets has arrived. */
async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

for (const [how, body] of [
  ['in memory', undefined],
  [
    'in pieces',
    async function* () {
      yield Buffer.from('Subject: x\r\n\r\nx\r\n');
    },
  ],
] as const) {
  test(`the reply to the final dot has ten minutes, whatever empty lines come: a message ${how}`, async (context) => {
    const pass = holdTime(context);
    const dot = Promise.withResolvers<Socket>();
    const slow = await peer((line, socket) => {
      if (line !== '.') return usual(line);
      dot.resolve(socket);
      return undefined;
    });
    let isDone = false;
    const hop = hopTo(slow.port, { tlsLevel: 'None' });
    const delivery = courier().deliver(
      hop,
      parcel(body ? { body } : { body: () => Buffer.from('x: y\r\n\r\n') }),
    );
    void delivery.then(() => {
      isDone = true;
    });
    const socket = await dot.promise;
    for (let minute = 0; minute < 9; minute += 1) {
      pass(60_000);
      socket.write('\r\n');
      await turns();
      assert.equal(isDone, false);
    }
    pass(60_000);
    assert.equal(summary(await delivery), 'deferred plain');
  });
}

test('empty lines are no reply: before DATA the five minutes go on', async (context) => {
  const pass = holdTime(context);
  const asked = Promise.withResolvers<Socket>();
  const slow = await peer((line, socket) => {
    if (!line.startsWith('RCPT')) return usual(line);
    asked.resolve(socket);
    return undefined;
  });
  const delivery = courier().deliver(hopTo(slow.port, { tlsLevel: 'None' }), parcel());
  const socket = await asked.promise;
  for (let minute = 0; minute < 5; minute += 1) {
    await turns();
    socket.write('\r\n');
    await turns();
    pass(60_000);
  }
  const result = await delivery;
  assert.ok(result.kind === 'unreachable');
  assert.match(result.failure.text, /no whole reply within five minutes/);
});

test('a handshake that stands still is given up after five minutes, and nothing follows in plain text', async (context) => {
  const pass = holdTime(context);
  const hello = Promise.withResolvers<void>();
  const slow = await peer((line) => {
    if (line.startsWith('EHLO')) return '250-peer\r\n250 STARTTLS';
    if (line !== 'STARTTLS') return usual(line);
    hello.resolve();
    return '220 go on';
  });
  const delivery = courier().deliver(hopTo(slow.port), parcel());
  await hello.promise;
  await turns(50);
  pass(5 * 60_000);
  const result = await delivery;
  assert.ok(result.kind === 'unreachable');
  assert.deepEqual([result.failure.cause, result.failure.status], ['handshake', '4.4.1']);
  assert.ok(!slow.lines.some((line) => line.startsWith('MAIL')));
});

test('a hop that does not answer QUIT keeps no connection', async (context) => {
  const pass = holdTime(context);
  const quit = Promise.withResolvers<Socket>();
  const { port } = await peer((line, socket) => {
    if (line !== 'QUIT') return usual(line);
    quit.resolve(socket);
    return undefined;
  });
  const one = courier();
  assert.equal(summary(await one.deliver(hopTo(port, { tlsLevel: 'None' }), parcel())), 'delivered plain');
  one.close();
  const socket = await quit.promise;
  const closed = once(socket, 'close');
  pass(10_000);
  await closed;
});

test('a reply without end is not kept in memory', async () => {
  const { port } = await peer((line, socket) => {
    if (!line.startsWith('EHLO')) return usual(line);
    const more = () => {
      if (!socket.destroyed) socket.write('250-SIZE\r\n'.repeat(1_000), () => setImmediate(more));
    };
    more();
    return undefined;
  });
  const result = await courier().deliver(hopTo(port), parcel());
  assert.match(result.kind === 'unreachable' ? result.failure.text : '', /maximum allowed size/);
});
