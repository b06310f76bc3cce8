import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { makePair } from '#test/kit/ca.ts';
import { freePort } from '#test/kit/ports.ts';
import { eventually } from '#test/kit/wait.ts';
import { PolicyCache } from '../mtasts/cache.ts';
import { CACHE_FILE, keepForRouter, readForSibling } from '../mtasts/handover.ts';
import type { Log } from '../observe/log.ts';
import { type Envelope, encodeRecord, newQueueId, type QueueRecord } from '../spool/record.ts';
import { Spool } from '../spool/spool.ts';
import { monotonic } from '../task/clock.ts';
import type { PairText } from '../task/messages.ts';
import { HEADERS, printEntryPath } from './entry.ts';
import { Giver } from './giver.ts';
import { connectPinned } from './pin.ts';
import { PolicyGiver } from './policygiver.ts';
import { Receiver } from './receiver.ts';
import { type Offered, Sibling } from './sibling.ts';

const [pair, otherPair] = [await makePair(), await makePair()];
const expired = await makePair('relay.example.com', -1);
const quiet: Log = () => undefined;
const LARGE = 700 * 1024;

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function openSpool(): Spool & { readonly stateDir: string } {
  const stateDir = mkdtempSync(join(tmpdir(), 'mailrelay-handover-'));
  const spool = Object.assign(new Spool(stateDir), { stateDir });
  ends.push(async () => {
    await spool.close();
    rmSync(stateDir, { recursive: true });
  });
  return spool;
}

const envelope = (changes: Partial<Envelope> = {}): Envelope => ({
  from: 'a@client.example',
  recipients: [
    { address: 'b@example.com', state: 'queued', notify: ['FAILURE'] },
    { address: 'c@example.com', state: 'held', reason: '550 no' },
  ],
  receivedAt: 1_700_000_000_000,
  smtpUtf8: false,
  eightBit: true,
  envid: 'one',
  ...changes,
});

async function enter(spool: Spool, body: Buffer, changes: Partial<Envelope> = {}): Promise<string> {
  const id = newQueueId(Date.now());
  const writer = spool.bodyWriter(id);
  await writer.write(body);
  await spool.enter(id, envelope(changes), await writer.seal());
  return id;
}

interface ReceivingPod {
  readonly port: number;
  readonly spool: ReturnType<typeof openSpool>;
  readonly receiver: Receiver;
  readonly entered: string[];
}

/** A pod that stays. */
async function openPod(served: PairText = pair, port = 0, spool = openSpool()): Promise<ReceivingPod> {
  const entered: string[] = [];
  const receiver = new Receiver({
    spool,
    pair: served,
    log: quiet,
    onEntered: (id) => entered.push(id),
    keepPolicies: (text) => keepForRouter(spool.stateDir, text),
  });
  const server: Server = createServer({ pauseOnConnect: true }, (socket: Socket) => receiver.receive(socket));
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  ends.push(async () => {
    server.close();
    await receiver.drain();
  });
  return { port: (server.address() as AddressInfo).port, spool, receiver, entered };
}

/** A pod in evacuation, with its queue. */
function startGiver(
  spool: Spool,
  ports: readonly number[],
  shown: PairText = pair,
  policies: string | null = null,
): Giver {
  const siblings = ports.map((port) => new Sibling({ host: '127.0.0.1', port }, shown, monotonic));
  const readPolicies = () => policies;
  const giver = new Giver({ spool, siblings, log: quiet, clock: monotonic, readPolicies });
  ends.push(() => giver.drain());
  giver.start();
  return giver;
}

async function readContent(spool: Spool, id: string): Promise<{ record: QueueRecord; body: Buffer }> {
  const taken = spool.load(id);
  assert.ok(taken.kind === 'message', JSON.stringify(taken));
  return { record: taken.record, body: await buffer(taken.open()) };
}

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

/** The text that a pod in evacuation gives: one policy of a domain. */
function policiesOf(domain: string): string {
  const stateDir = mkdtempSync(join(tmpdir(), 'mailrelay-policies-'));
  ends.push(() => rmSync(stateDir, { recursive: true }));
  const now = Date.now();
  const policy = { mode: 'enforce' as const, mxPatterns: ['mx.example'], maxAgeSeconds: 86_400 };
  const text = JSON.stringify({ ...policy, id: '1', fetchedAt: now, usedAt: now });
  writeFileSync(join(stateDir, CACHE_FILE), `{"format":1,"policies":{"${domain}":${text}}}`);
  return readForSibling(stateDir, now, assert.fail) ?? '';
}

/** What the router of the pod finds. */
function policyAt({ spool }: ReceivingPod, domain: string) {
  const cache = new PolicyCache({
    path: join(spool.stateDir, CACHE_FILE),
    onError: assert.fail,
    isReadOnly: true,
  });
  cache.takeIn(Date.now());
  return cache.get(domain, Date.now())?.mode;
}

test('each sibling gets the MTA-STS policies before the first entry that goes there, and once', async () => {
  const pods = await Promise.all([openPod(), openPod()]);
  const found: (string | undefined)[] = [];
  for (const pod of pods) {
    const { push } = pod.entered;
    pod.entered.push = (...ids) => {
      found.push(policyAt(pod, 'kept.example'));
      return push.apply(pod.entered, ids);
    };
  }
  const spool = openSpool();
  for (let index = 0; index < 30; index += 1) await enter(spool, Buffer.from('x'));
  startGiver(
    spool,
    pods.map(({ port }) => port),
    pair,
    policiesOf('kept.example'),
  );
  await eventually(() => found.length === 30);
  assert.deepEqual(new Set(found), new Set(['enforce']));
  for (const { spool: kept } of pods)
    assert.equal(readdirSync(join(kept.stateDir, `${CACHE_FILE}.handed-over`)).length, 1);
});

test('no entry goes to a sibling that cannot keep the policies', async () => {
  const stays = await openPod();
  const full = await openPod();
  // The folder cannot be made.
  writeFileSync(join(full.spool.stateDir, `${CACHE_FILE}.handed-over`), '');
  const spool = openSpool();
  for (let index = 0; index < 20; index += 1) await enter(spool, Buffer.from('x'));
  startGiver(spool, [stays.port, full.port], pair, policiesOf('kept.example'));
  await eventually(() => stays.entered.length === 20);
  assert.equal(full.entered.length, 0);
});

test('what is no text of policies is refused, and the connection goes on', async () => {
  const pod = await openPod();
  const sibling = new Sibling({ host: '127.0.0.1', port: pod.port }, pair, monotonic);
  ends.push(() => sibling.close());
  assert.equal((await sibling.offerPolicies('')).kind, 'refused');
  assert.equal((await sibling.offerPolicies('{')).kind, 'away');
  assert.equal((await sibling.offerPolicies('x'.repeat(9 * 2 ** 20))).kind, 'refused');
  assert.equal((await sibling.offerPolicies(policiesOf('good.example'))).kind, 'taken');
  assert.equal(policyAt(pod, 'good.example'), 'enforce');
});

test('a sibling that does not know policies gets the entries without them, and one that is away gets none', async () => {
  const answers: Offered[] = [
    { kind: 'away', reason: 'no route' },
    { kind: 'refused', reason: 'not a queue entry' },
  ];
  const asked: string[] = [];
  const sibling = {
    address: { host: 'old', port: 1 },
    offerPolicies: async (text: string) => {
      asked.push(text);
      return answers.shift();
    },
  } as unknown as Sibling;
  const told: string[] = [];
  const giver = new PolicyGiver(
    () => 'policies',
    (event) => void told.push(event),
  );
  assert.match((await giver.giveTo(sibling)) ?? '', /^its MTA-STS policies come first: no route$/);
  assert.deepEqual(await Promise.all([giver.giveTo(sibling), giver.giveTo(sibling)]), [undefined, undefined]);
  assert.equal(await giver.giveTo(sibling), undefined);
  assert.deepEqual([asked.length, told], [2, ['sts_policies_not_taken']]);
});
