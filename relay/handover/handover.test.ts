/**
 * A pod in evacuation gives its queue to its siblings: each entry goes whole and once, and to a sibling with the same
 * key pair alone.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { makePair } from '#test/kit/ca.ts';
import {
  ends,
  enter,
  LARGE,
  openPod,
  openSpool,
  otherPair,
  pair,
  readContent,
  startGiver,
} from '#test/kit/handoverrig.ts';
import { freePort } from '#test/kit/ports.ts';
import { eventually } from '#test/kit/wait.ts';
import { encodeRecord, newQueueId, type QueueRecord } from '../spool/record.ts';
import type { PairText } from '../task/messages.ts';
import { HEADERS, printEntryPath } from './entry.ts';
import { connectPinned } from './pin.ts';

const expired = await makePair('relay.example.com', -1);

/** Offers an entry as a sibling does, with any content. */
async function put(
  port: number,
  id: string,
  record: QueueRecord,
  body: Buffer,
  headers: Readonly<Record<string, number>> = {},
): Promise<number> {
  const socket = await connectPinned(pair, { host: '127.0.0.1', port });
  const head = encodeRecord(record);
  const sizes = { [HEADERS.recordBytes]: head.length, [HEADERS.bodyBytes]: record.bytes, ...headers };
  const call = request({
    method: 'PUT',
    path: printEntryPath(id),
    headers: sizes,
    createConnection: () => socket,
  });
  call.end(Buffer.concat([head, body]));
  const [response] = await once(call, 'response');
  response.resume();
  await once(response, 'end');
  socket.destroy();
  return response.statusCode;
}

test('a queue goes to the siblings whole: small and large bodies, progress, holds, and nothing twice', async () => {
  const from = openSpool();
  const sent = new Map<string, { record: QueueRecord; body: Buffer }>();
  for (let count = 0; count < 60; count++) {
    const body = Buffer.alloc(count % 20 === 0 ? LARGE : 2_000 + count, count);
    const id = await enter(from, body, count === 7 ? { hold: true } : {});
    sent.set(id, await readContent(from, id));
  }
  const pods = [await openPod(), await openPod()];
  startGiver(
    from,
    pods.map(({ port }) => port),
  );
  await eventually(() => from.depth === 0);
  const arrived = pods.flatMap(({ spool }) => spool.list());
  assert.deepEqual(arrived.toSorted(), [...sent.keys()].toSorted());
  assert.deepEqual(pods.flatMap(({ entered }) => entered).toSorted(), arrived.toSorted());
  for (const { spool } of pods) {
    assert.ok(spool.depth > 0, 'both took some');
    for (const id of spool.list()) assert.deepEqual(await readContent(spool, id), sent.get(id));
  }
  assert.deepEqual(readdirSync(join(from.stateDir, 'bodies')), []);
});

test('what a sender requires of the next hops crosses with the message', async () => {
  const [from, pod] = [openSpool(), await openPod()];
  const requires = await enter(from, Buffer.from('x'), { requireTls: true });
  const other = await enter(from, Buffer.from('x'));
  startGiver(from, [pod.port]);
  await eventually(() => from.depth === 0);
  const flags = await Promise.all(
    [requires, other].map(async (id) => (await readContent(pod.spool, id)).record.requireTls),
  );
  assert.deepEqual(flags, [true, undefined]);
});

test('an entry that is offered again is acknowledged and not entered again', async () => {
  const [from, pod] = [openSpool(), await openPod()];
  const id = await enter(from, Buffer.from('once'));
  const { record, body } = await readContent(from, id);
  assert.equal(await put(pod.port, id, record, body), 201);
  assert.equal(await put(pod.port, id, record, body), 200);
  // A crash came between acknowledgement and removal: the entry is still here, and is offered again.
  startGiver(from, [pod.port]);
  await eventually(() => from.depth === 0);
  assert.deepEqual(pod.entered, [id]);
  assert.equal(pod.spool.depth, 1);
});

test('an entry is known only when it is on disk: the process that wrote it may have died before its sync', async () => {
  let syncs = 0;
  const from = openSpool();
  const spool = openSpool(() => {
    syncs += 1;
  });
  const pod = await openPod(pair, 0, spool);
  const id = await enter(from, Buffer.from('once'));
  const { record, body } = await readContent(from, id);
  assert.equal(await put(pod.port, id, record, body), 201);
  const before = syncs;
  assert.equal(await put(pod.port, id, record, body), 200);
  assert.equal(syncs, before + 1);
});

test('an entry that is known is told as known although there is no room: another sibling would get it too', async () => {
  const [from, pod] = [openSpool(), await openPod()];
  const id = await enter(from, Buffer.from('once'));
  const { record, body } = await readContent(from, id);
  assert.equal(await put(pod.port, id, record, body), 201);
  pod.spool.hasRoom = () => false;
  assert.equal(await put(pod.port, id, record, body), 200);
  assert.equal(await put(pod.port, newQueueId(Date.now()), record, body), 507);
});

test('what an attempt that broke off left behind is no hindrance', async () => {
  const [from, pod] = [openSpool(), await openPod()];
  const id = await enter(from, Buffer.alloc(LARGE, 'x'));
  writeFileSync(join(pod.spool.stateDir, 'bodies', id), 'half a body');
  startGiver(from, [pod.port]);
  await eventually(() => from.depth === 0);
  assert.equal((await readContent(pod.spool, id)).body.length, LARGE);
});

test('an entry that is cut short, altered, or not named as ours is refused, and leaves nothing', async () => {
  const [from, pod] = [openSpool(), await openPod()];
  const id = await enter(from, Buffer.alloc(LARGE, 'x'));
  const { record, body } = await readContent(from, id);
  assert.equal(await put(pod.port, id, record, body.subarray(1)), 500);
  assert.equal(await put(pod.port, id, record, Buffer.concat([body, body])), 500);
  assert.equal(await put(pod.port, id, record, body, { [HEADERS.recordBytes]: 7 }), 422);
  assert.equal(await put(pod.port, '../../queue.db', record, body), 400);
  assert.equal(await put(pod.port, id, record, body, { [HEADERS.recordBytes]: 2 ** 40 }), 400);
  assert.equal(await put(pod.port, id, record, body, { [HEADERS.bodyBytes]: 2 ** 50 }), 507);
  assert.equal(pod.spool.depth, 0);
  assert.deepEqual(readdirSync(join(pod.spool.stateDir, 'bodies')), []);
});

test('dates do not matter: an expired pair is as good as any, as long as both have it', async () => {
  const [from, pod] = [openSpool(), await openPod(expired)];
  await enter(from, Buffer.from('late'));
  startGiver(from, [pod.port], expired);
  await eventually(() => from.depth === 0);
});

test('nobody without the pair of this relay gets a word in, and nothing is given to a stranger', async () => {
  const pod = await openPod();
  const cutOff = async (shown: Partial<PairText>) => {
    const socket = connectTls({ port: pod.port, host: '127.0.0.1', rejectUnauthorized: false, ...shown });
    let heard = '';
    socket.on('data', (chunk) => {
      heard += chunk;
    });
    socket.on('error', () => undefined);
    socket.write(`PUT ${printEntryPath(newQueueId(1))} HTTP/1.1\r\nhost: a\r\n\r\n`);
    await new Promise((closed) => socket.once('close', closed));
    return heard;
  };
  assert.equal(await cutOff({}), '');
  assert.equal(await cutOff(otherPair), '');
  await assert.rejects(
    connectPinned(otherPair, { host: '127.0.0.1', port: pod.port }),
    /another certificate/,
  );
  const from = openSpool();
  await enter(from, Buffer.from('mine'));
  const giver = startGiver(from, [pod.port], otherPair);
  await eventually(() => giver.figures.deferrals.some(({ message }) => /another certificate/.test(message)));
  assert.equal(from.depth, 1);
  assert.equal(pod.spool.depth, 0);
});

test('a new pair is proven by from the next connection on', async () => {
  const [from, pod] = [openSpool(), await openPod()];
  pod.receiver.usePair(otherPair);
  await enter(from, Buffer.from('renewed'));
  startGiver(from, [pod.port], otherPair);
  await eventually(() => from.depth === 0);
});

test('while siblings are away the queue stays, and goes when one is back', async () => {
  const from = openSpool();
  const port = await freePort();
  for (let count = 0; count < 5; count++) await enter(from, Buffer.from(`${count}`));
  const giver = startGiver(from, [port]);
  await eventually(() => giver.figures.deferrals.length === 1);
  assert.equal(giver.figures.depth, 5);
  const pod = await openPod(pair, port);
  await eventually(() => from.depth === 0);
  assert.equal(pod.spool.depth, 5);
});

test('an entry whose body went is taken again, and is not told as known', async () => {
  const [from, to] = [openSpool(), await openPod()];
  const body = Buffer.alloc(LARGE, 'a large body. ');
  const id = await enter(from, body);
  const { record } = await readContent(from, id);
  assert.equal(await put(to.port, id, record, body), 201);
  assert.equal(await put(to.port, id, record, body), 200);
  rmSync(join(to.spool.stateDir, 'bodies', id));
  assert.equal(await put(to.port, id, record, body), 201);
  assert.deepEqual((await readContent(to.spool, id)).body, body);
});

test('a sibling that leaves too takes nothing; another one does', async () => {
  const [from, draining, staying] = [openSpool(), await openPod(), await openPod()];
  await draining.receiver.drain();
  for (let count = 0; count < 8; count++) await enter(from, Buffer.from(`${count}`));
  startGiver(from, [draining.port, staying.port]);
  await eventually(() => from.depth === 0);
  assert.equal(draining.spool.depth, 0);
  assert.equal(staying.spool.depth, 8);
});

test('an entry that cannot be read is set aside, counted, and does not go', async () => {
  const [from, pod] = [openSpool(), await openPod()];
  const id = await enter(from, Buffer.alloc(LARGE, 'x'));
  writeFileSync(join(from.stateDir, 'bodies', id), 'cut short');
  const giver = startGiver(from, [pod.port]);
  await eventually(() => from.damaged === 1);
  assert.equal(giver.figures.held, 1);
  assert.equal(pod.spool.depth, 0);
});

test('strangers who say nothing keep no sibling out, from one address or from many', async () => {
  const [from, pod] = [openSpool(), await openPod()];
  const strangers: Socket[] = [];
  ends.push(() => strangers.forEach((socket) => void socket.destroy()));
  for (let count = 0; count < 300; count++) {
    const localAddress = count < 150 ? '127.0.0.1' : `127.0.3.${count % 100}`;
    const socket = connect({ port: pod.port, host: '127.0.0.1', localAddress });
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    strangers.push(socket);
  }
  for (let count = 0; count < 40; count++) await enter(from, Buffer.from(`${count}`));
  startGiver(from, [pod.port]);
  await eventually(() => from.depth === 0);
  assert.equal(pod.spool.depth, 40);
  assert.ok(pod.receiver.connections <= 2 * 64);
});
