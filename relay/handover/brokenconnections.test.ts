/** Connections of a hand-over that break off: no entry is lost, and a sibling that comes back gets the rest. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import {
  ends,
  enter,
  LARGE,
  openPod,
  openSpool,
  pair,
  type ReceivingPod,
  readContent,
  startGiver,
} from '#test/kit/handoverrig.ts';
import { eventually } from '#test/kit/wait.ts';
import { monotonic } from '../task/clock.ts';
import { HEADERS, printEntryPath } from './entry.ts';
import { connectPinned } from './pin.ts';
import { isInDoubt, Sibling } from './sibling.ts';

/** A port before a sibling. The first connections through it break off after so many bytes of the giver. */
async function openBreaking(port: number, breaks: readonly number[]): Promise<number> {
  const left = [...breaks];
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    const sibling = connect(port, '127.0.0.1');
    let rest = left.shift() ?? Number.POSITIVE_INFINITY;
    for (const one of [socket, sibling]) {
      open.add(one);
      one.on('error', () => undefined);
    }
    sibling.pipe(socket);
    socket.on('data', (chunk) => {
      rest -= chunk.length;
      if (rest > 0) return void sibling.write(chunk);
      socket.resetAndDestroy();
      sibling.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ends.push(() => {
    for (const one of open) one.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

test('a connection that breaks off in the middle of a body keeps no entry here', async () => {
  const [from, to] = [openSpool(), await openPod()];
  const body = Buffer.alloc(LARGE, 'a large body. ');
  const id = await enter(from, body);
  const port = await openBreaking(to.port, [200_000]);
  startGiver(from, [port]);
  await eventually(() => to.entered.length === 1);
  await eventually(() => from.depth === 0);
  assert.equal(from.damaged, 0);
  assert.deepEqual((await readContent(to.spool, id)).body, body);
});

/** A port before a sibling that dies with entries on their way, and comes back. */
async function openMortal(port: number) {
  const open = new Set<Socket>();
  const held = new Set<Socket>();
  let isHeld = false;
  const server = createServer((socket) => {
    const sibling = connect(port, '127.0.0.1');
    for (const one of [socket, sibling]) {
      open.add(one);
      one.on('error', () => undefined);
    }
    sibling.pipe(socket);
    socket.on('close', () => sibling.destroy());
    socket.on('data', (chunk) => (isHeld ? held.add(socket) : sibling.write(chunk)));
  });
  const listen = async (on: number) => {
    server.listen(on, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const die = () => {
    server.close();
    for (const one of open) one.destroy();
    open.clear();
  };
  const own = await listen(0);
  ends.push(die);
  return {
    port: own,
    hold: () => {
      isHeld = true;
    },
    held,
    die,
    live: () => {
      isHeld = false;
      return listen(own);
    },
  };
}

test('a sibling that dies while many entries are on their way keeps none of them here', async () => {
  const [from, to] = [openSpool(), await openPod()];
  const entering = Array.from({ length: 300 }, () => enter(from, Buffer.alloc(2_000, 'entry ')));
  const ids = await Promise.all(entering);
  const mortal = await openMortal(to.port);
  const giver = startGiver(from, [mortal.port]);
  await eventually(() => to.entered.length >= 100);
  mortal.hold();
  await eventually(() => mortal.held.size >= 8);
  mortal.die();
  await eventually(() => giver.figures.deferrals.some(({ message }) => message.includes('ECONNREFUSED')));
  await mortal.live();
  await eventually(() => from.depth === 0);
  assert.deepEqual(to.spool.list(), ids.toSorted());
});

/** A port before a sibling that dies when it has entered an entry and before it says so. */
async function openForgetful({ port, spool }: ReceivingPod) {
  const mortal = await openMortal(port);
  const enterIt = spool.enter.bind(spool);
  spool.enter = async (...entry) => {
    await enterIt(...entry);
    mortal.die();
  };
  return mortal;
}

test('an entry whose acknowledgement is lost waits for the sibling that has it, and goes to no other one', async () => {
  const [from, to, other] = [openSpool(), await openPod(), await openPod()];
  const id = await enter(from, Buffer.from('once'));
  const mortal = await openForgetful(to);
  const ports = [mortal.port, other.port];
  const giver = startGiver(from, crc32(id) % 2 === 0 ? ports : ports.reverse());
  await eventually(() => giver.figures.deferrals.some(({ message }) => message.includes('ECONNREFUSED')));
  await mortal.live();
  await eventually(() => from.depth === 0);
  assert.deepEqual([to.spool.list(), other.spool.list()], [[id], []]);
});

test('an entry that is delivered before the giver asks again is known all the same, and not taken twice', async () => {
  const [from, to] = [openSpool(), await openPod()];
  const id = await enter(from, Buffer.from('once'));
  const { record } = await readContent(from, id);
  const settled: Promise<void>[] = [];
  const { push } = to.entered;
  to.entered.push = (entered) => {
    settled.push(to.spool.settle(entered, { ...record, recipients: [] }));
    return push.call(to.entered, entered);
  };
  const mortal = await openForgetful(to);
  const giver = startGiver(from, [mortal.port]);
  await eventually(() => giver.figures.deferrals.some(({ message }) => message.includes('ECONNREFUSED')));
  await eventually(() => settled.length === 1);
  await Promise.all(settled);
  assert.equal(to.spool.depth, 0);
  await mortal.live();
  await eventually(() => from.depth === 0);
  assert.deepEqual([...to.entered], [id]);
});

/** A sibling whose next entry meets this error, after its commit or before it. */
function failOnce({ spool }: ReceivingPod, when: 'after' | 'before', error: object): void {
  const enterIt = spool.enter.bind(spool);
  spool.enter = async (...entry) => {
    spool.enter = enterIt;
    if (when === 'after') await enterIt(...entry);
    throw Object.assign(new Error('the disk'), error);
  };
}

test('an entry that a sibling has committed and could not sync goes to no other one', async () => {
  for (const error of [{ code: 'EIO' }, { code: 'ENOSPC' }, { errno: -122 }, {}]) {
    const [from, to, other] = [openSpool(), await openPod(), await openPod()];
    const id = await enter(from, Buffer.from('once'));
    failOnce(to, 'after', error);
    const ports = [to.port, other.port];
    startGiver(from, crc32(id) % 2 === 0 ? ports : ports.reverse());
    await eventually(() => from.depth === 0);
    assert.deepEqual([to.spool.list(), other.spool.list()], [[id], []]);
  }
});

test('an entry whose commit a full disk refused is nowhere, and goes to the next sibling', async () => {
  const [from, to, other] = [openSpool(), await openPod(), await openPod()];
  const id = await enter(from, Buffer.from('once'));
  failOnce(to, 'before', { code: 'ENOSPC', errcode: 13 });
  const ports = [to.port, other.port];
  startGiver(from, crc32(id) % 2 === 0 ? ports : ports.reverse());
  await eventually(() => from.depth === 0);
  assert.deepEqual([to.spool.list(), other.spool.list()], [[], [id]]);
});

test('an entry that a sibling has and cannot confirm goes to no other one', async () => {
  const [from, to, other] = [openSpool(), await openPod(), await openPod()];
  const id = await enter(from, Buffer.from('once'));
  const { record, body } = await readContent(from, id);
  const writer = to.spool.bodyWriter(id);
  await writer.write(body);
  await to.spool.enter(id, record, await writer.seal());
  const confirm = to.spool.confirm.bind(to.spool);
  to.spool.confirm = async () => {
    to.spool.confirm = confirm;
    // A change of other mail in the same commit finds the disk full.
    throw Object.assign(new Error('the disk is full'), { code: 'ENOSPC' });
  };
  const ports = [to.port, other.port];
  startGiver(from, crc32(id) % 2 === 0 ? ports : ports.reverse());
  await eventually(() => from.depth === 0);
  assert.deepEqual([to.spool.list(), other.spool.list()], [[id], []]);
});

test('an entry that is on its way already, by a connection that fell silent, keeps no other one back', async () => {
  const [from, to] = [openSpool(), await openPod()];
  const loaded = from.load(await enter(from, Buffer.from('once')));
  assert.ok(loaded.kind === 'message');
  const socket = await connectPinned(pair, { host: '127.0.0.1', port: to.port });
  ends.push(() => socket.destroy());
  socket.write(
    `PUT ${printEntryPath(loaded.id)} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n` +
      `${HEADERS.recordBytes}: 500\r\n${HEADERS.bodyBytes}: 4\r\n\r\n`,
  );
  await once(socket, 'data');
  const sibling = new Sibling({ host: '127.0.0.1', port: to.port }, pair, monotonic);
  ends.push(() => sibling.close());
  const offered = await sibling.offer(loaded);
  assert.deepEqual([offered.kind, isInDoubt(offered), sibling.mayTake(4)], ['onItsWay', true, true]);
});
