/** Which questions share a socket, and what one question is to the others there. */
import assert from 'node:assert/strict';
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { Transport } from './transport.ts';

const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

/** Two octets of an id, as a question has them, and a text. */
function question(id: number, text = ''): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(id);
  return Buffer.concat([head, Buffer.from(text)]);
}

const read = (message: Buffer) => message.subarray(2).toString();

/** Calls `hear` with each question and with what answers it. */
async function serve(hear: (message: Buffer, reply: (answer: Buffer) => void, from: RemoteInfo) => void) {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  socket.on('message', (message, from) =>
    hear(message, (answer) => socket.send(answer, from.port, from.address), from),
  );
  let isOpen = true;
  const stop = () => {
    if (isOpen) socket.close();
    isOpen = false;
  };
  ends.push(stop);
  return { port: socket.address().port, stop };
}

async function portsOf(address: string, ids: readonly number[]): Promise<Set<number>> {
  const ports = new Set<number>();
  const { port } = await serve((message, reply, from) => {
    ports.add(from.port);
    reply(message);
  });
  const transport = new Transport({ address, port });
  const answers = await Promise.all(ids.map((id) => transport.askOverUdp(question(id, `q${id}`), read)));
  assert.deepEqual(
    answers,
    ids.map((id) => `q${id}`),
  );
  return ports;
}

test('questions of one time share a port on the loopback, but not those of equal ids', async () => {
  assert.equal((await portsOf('127.0.0.1', [1, 2, 3])).size, 1);
  assert.equal((await portsOf('127.0.0.1', [1, 2, 1])).size, 2);
});

test('elsewhere each question has a port of its own, which a forger must guess', async () => {
  // No loopback by its text, and Linux connects it to this machine.
  assert.equal((await portsOf('0.0.0.0', [1, 2, 3])).size, 3);
});

test('answers come in any order, and one that no question has is dropped', async () => {
  const heard: (() => void)[] = [];
  const { port } = await serve((message, reply) => {
    heard.unshift(() => reply(message));
    if (heard.length < 3) return;
    for (const one of [Buffer.of(), Buffer.of(0), question(9, 'nobody')]) reply(one);
    for (const answer of heard) answer();
  });
  const transport = new Transport({ address: '127.0.0.1', port });
  const answers = [1, 2, 3].map((id) => transport.askOverUdp(question(id, `q${id}`), read));
  assert.deepEqual(await Promise.all(answers), ['q1', 'q2', 'q3']);
});

test('a closed port fails all questions there, and later ones have a new socket', async () => {
  const { port, stop } = await serve(() => undefined);
  const transport = new Transport({ address: '127.0.0.1', port });
  const silent = transport.askOverUdp(question(1), read);
  stop();
  const told = await Promise.allSettled([silent, transport.askOverUdp(question(2), read)]);
  assert.deepEqual(
    told.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  const again = createSocket('udp4');
  again.on('message', (message, from) => again.send(message, from.port, from.address));
  again.bind(port, '127.0.0.1');
  ends.push(() => void again.close());
  await once(again, 'listening');
  assert.equal(await transport.askOverUdp(question(3, 'q3'), read), 'q3');
});
