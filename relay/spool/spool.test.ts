import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { after, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { inFile } from '#test/kit/storefile.ts';
import { until } from '#test/kit/wait.ts';
import { refuseOldSqlite } from './openstore.ts';
import { type Envelope, newQueueId } from './record.ts';
import type { Recovered } from './recovery.ts';
import { type Loaded, Spool } from './spool.ts';

const folders: string[] = [];
const folder = () => {
  const path = mkdtempSync(join(tmpdir(), 'mailrelay-spool-'));
  folders.push(path);
  return path;
};
after(() => {
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});

const LARGE = 700 * 1024;
const envelope: Envelope = {
  from: 'me@example.com',
  recipients: [
    { address: 'a@example.net', state: 'queued' },
    { address: 'b@example.net', state: 'queued' },
  ],
  receivedAt: 1,
  smtpUtf8: false,
  eightBit: false,
};

async function enter(spool: Spool, body: Buffer): Promise<string> {
  const id = newQueueId(Date.now());
  const writer = spool.bodyWriter(id);
  for (let at = 0; at < body.length; at += 64 * 1024) await writer.write(body.subarray(at, at + 64 * 1024));
  await spool.enter(id, envelope, await writer.seal());
  return id;
}

function load(spool: Spool, id: string): Loaded & { kind: 'message' } {
  const loaded = spool.load(id);
  assert.ok(loaded.kind === 'message', JSON.stringify(loaded));
  return loaded;
}

function readBody(spool: Spool, id: string): Promise<Buffer> {
  return buffer(load(spool, id).open());
}

/** Reads the body as the router does: each piece is used before the next is requested. */
async function readPieces(spool: Spool, id: string): Promise<Buffer> {
  const body = load(spool, id).pieces();
  if (Buffer.isBuffer(body)) return body;
  const copies: Buffer[] = [];
  for await (const piece of body) copies.push(Buffer.from(piece));
  return Buffer.concat(copies);
}

const KIB = 1024;

for (const size of [1, 40 * KIB, 128 * KIB, 128 * KIB + 1, 256 * KIB, 256 * KIB + 1, LARGE]) {
  test(`a message of ${size} bytes is taken as it was entered, more than once, by another handle too`, async () => {
    const stateDir = folder();
    const spool = new Spool(stateDir);
    const other = new Spool(stateDir);
    const body = randomBytes(size);
    const id = await enter(spool, body);
    assert.deepEqual(await readBody(spool, id), body);
    assert.deepEqual(await readBody(other, id), body);
    assert.deepEqual(await readPieces(spool, id), body);
    assert.deepEqual([...other.list()], [id]);
    assert.equal(readdirSync(join(stateDir, 'bodies')).length, size > 128 * 1024 ? 1 : 0);
    await Promise.all([spool.close(), other.close()]);
  });

  test(`a message of ${size} bytes that is removed leaves nothing`, async () => {
    const stateDir = folder();
    const spool = new Spool(stateDir);
    const id = await enter(spool, Buffer.alloc(size));
    const read = spool.read(id);
    assert.ok(read.kind === 'message');
    await spool.settle(id, { ...read.record, recipients: [] });
    assert.deepEqual(spool.load(id), { kind: 'gone' });
    assert.equal(spool.depth, 0);
    assert.deepEqual(readdirSync(join(stateDir, 'bodies')), []);
    await spool.close();
  });
}

test('messages that come together share a sync; that one went waits for none, and is synced soon', async () => {
  let syncs = 0;
  const spool = new Spool(folder(), () => {
    syncs += 1;
  });
  const ids = await Promise.all(Array.from({ length: 20 }, () => enter(spool, Buffer.from('x'))));
  assert.equal(syncs, 1);
  const [id = ''] = ids;
  const read = spool.read(id);
  assert.ok(read.kind === 'message');
  await spool.settle(id, { ...read.record, recipients: [] });
  assert.equal(syncs, 1);
  assert.deepEqual(spool.read(id), { kind: 'gone' });
  await until('the sync', () => syncs === 2);
  await spool.close();
});

test('progress of a recipient is kept', async () => {
  const spool = new Spool(folder());
  const id = await enter(spool, Buffer.from('x'));
  const read = spool.read(id);
  assert.ok(read.kind === 'message');
  const left = [{ address: 'b@example.net', state: 'held' as const, reason: '550 no' }];
  await spool.settle(id, { ...read.record, recipients: left });
  const again = spool.read(id);
  assert.deepEqual(again.kind === 'message' && again.record.recipients, left);
  await spool.close();
});

test('many large messages at the same time share few buffers, and each keeps its own bytes', async () => {
  const spool = new Spool(folder());
  const bodies = Array.from({ length: 150 }, () => randomBytes(300 * KIB));
  const ids = await Promise.all(bodies.map((body) => enter(spool, body)));
  const read = await Promise.all(ids.map((id) => readPieces(spool, id)));
  for (const [index, body] of bodies.entries()) assert.ok(read[index]?.equals(body));
  await spool.close();
});

test('a body that is given up leaves nothing', async () => {
  const stateDir = folder();
  const spool = new Spool(stateDir);
  const writer = spool.bodyWriter('given-up');
  await writer.write(Buffer.alloc(LARGE));
  assert.equal(readdirSync(join(stateDir, 'bodies')).length, 1);
  await writer.discard();
  assert.deepEqual(readdirSync(join(stateDir, 'bodies')), []);
  await spool.close();
});

test('the sweep removes bodies that no record names, and no other', async () => {
  const stateDir = folder();
  const spool = new Spool(stateDir);
  const id = await enter(spool, Buffer.alloc(LARGE));
  writeFileSync(join(stateDir, 'bodies', 'orphan'), 'half a message');
  spool.sweep();
  assert.deepEqual(readdirSync(join(stateDir, 'bodies')), [id]);
  await spool.close();
});

test('a body file that was cut short is damage, is set aside, counted, and never deleted', async () => {
  const stateDir = folder();
  const spool = new Spool(stateDir);
  const id = await enter(spool, Buffer.alloc(LARGE));
  truncateSync(join(stateDir, 'bodies', id), LARGE - 1);
  assert.equal(spool.load(id).kind, 'damaged');
  await spool.setAside(id);
  spool.sweep();
  assert.deepEqual([spool.depth, spool.damaged, readdirSync(join(stateDir, 'bodies'))], [0, 1, [id]]);
  await spool.restore();
  assert.deepEqual([spool.depth, spool.damaged], [0, 1]);
  truncateSync(join(stateDir, 'bodies', id), LARGE);
  await spool.restore();
  assert.deepEqual([spool.depth, spool.damaged], [1, 0]);
  await spool.close();
});

test('an inline body that was altered is damage', async () => {
  const stateDir = folder();
  const spool = new Spool(stateDir);
  const id = await enter(spool, Buffer.from('the body'));
  await spool.close();
  inFile(join(stateDir, 'queue.db'), (database) =>
    database.prepare('UPDATE bodies SET value = ? WHERE key = ?').run(Buffer.from('thebody '), id),
  );
  const again = new Spool(stateDir);
  assert.equal(again.load(id).kind, 'damaged');
  await again.close();
});

test('a store that cannot be opened is one sentence that names the folder', () => {
  const stateDir = folder();
  mkdirSync(join(stateDir, 'queue.db'));
  assert.throws(() => new Spool(stateDir), /^Error: Cannot open the queue in ".*queue\.db"/);
});

test('a file that is no store is set aside by name, a new one begins, and no body goes for good', async () => {
  const stateDir = folder();
  const junk = 'not a store '.repeat(1000);
  mkdirSync(join(stateDir, 'bodies'));
  writeFileSync(join(stateDir, 'bodies', '0123456789abcdef'), 'all that is left');
  writeFileSync(join(stateDir, 'queue.db'), junk);
  const told: Recovered[] = [];
  const spool = new Spool(stateDir, undefined, 'late', { onRecovered: (recovered) => told.push(recovered) });
  const id = await enter(spool, Buffer.from('x'));
  assert.deepEqual(spool.list(), [id]);
  const [recovered] = told;
  assert.ok(told.length === 1 && recovered?.kind === 'rebuilt');
  assert.equal(readFileSync(recovered.setAside, 'utf8'), junk);
  assert.match(recovered.setAside, /queue\.db\.damaged-\d{8}T\d{6}Z$/);
  spool.sweep();
  assert.deepEqual(readdirSync(join(stateDir, 'strays')).toSorted(), ['0123456789abcdef', 'KEEP']);
  await spool.close();
});

test('after an error each process opens the store again, whichever of them has recovered it', async () => {
  const stateDir = folder();
  const told: string[] = [];
  const spools = ['one', 'two', 'three'].map((name) => {
    const onRecovered = ({ kind }: Recovered) => void told.push(`${name} ${kind}`);
    return new Spool(stateDir, undefined, 'late', { onRecovered });
  });
  const ids = [await enter(spools[0] as Spool, Buffer.from('x'))];
  writeFileSync(join(stateDir, 'queue.db.fault'), 'io: EIO\n');
  await until('all of them', () => told.length === 3);
  assert.equal(told.filter((line) => line.endsWith('log-renewed')).length, 1);
  assert.equal(told.filter((line) => line.endsWith('reopened')).length, 2);
  for (const spool of spools) {
    assert.equal(spool.isBroken, false);
    ids.push(await enter(spool, Buffer.from('y')));
    assert.deepEqual(spool.list(), ids);
  }
  for (const spool of spools) await spool.close();
});

for (const size of [10, LARGE])
  test(`a message of ${size} bytes whose sync failed is taken back when the store is recovered`, async () => {
    const stateDir = folder();
    let fails = false;
    const onSync = () => {
      if (fails) writeFileSync(join(stateDir, 'queue.db.fault'), 'io: EIO\n');
      fails = false;
    };
    // The other process keeps the store open for a moment, so this one cannot recover it at once.
    const [spool, other] = [new Spool(stateDir, onSync, 'late'), new Spool(stateDir, undefined, 'late')];
    const kept = await enter(spool, Buffer.alloc(size));
    fails = true;
    await assert.rejects(enter(spool, Buffer.alloc(size)));
    await until('what was acknowledged, and nothing else', () => other.list().join() === kept);
    const next = await enter(spool, Buffer.alloc(size));
    assert.deepEqual(other.list(), [kept, next]);
    for (const one of [spool, other]) await one.close();
  });

test('a large body with one byte changed never comes to its end, and is damage from then on', async () => {
  const stateDir = folder();
  const spool = new Spool(stateDir);
  const body = randomBytes(LARGE);
  const ids = [await enter(spool, body), await enter(spool, body)];
  for (const [index, id] of ids.entries()) {
    const path = join(stateDir, 'bodies', id);
    const bytes = readFileSync(path);
    bytes.writeUInt8((bytes.readUInt8(LARGE - 7) + 1) % 256, LARGE - 7);
    writeFileSync(path, bytes);
    await assert.rejects(index === 0 ? readPieces(spool, id) : readBody(spool, id), /checksum/);
    assert.equal(spool.load(id).kind, 'damaged');
  }
  await spool.close();
});

test('a reader that breaks off says nothing about the body', async () => {
  const spool = new Spool(folder());
  const body = randomBytes(LARGE);
  const id = await enter(spool, body);
  const breaks: ((stream: Readable) => void)[] = [
    (stream) => stream.destroy(Object.assign(new Error('write ECONNRESET'), { code: 'ECONNRESET' })),
    // The reader's own disk has an error.
    (stream) => stream.destroy(Object.assign(new Error('write EIO'), { code: 'EIO' })),
    (stream) => stream.destroy(),
  ];
  for (const breakOff of breaks) {
    const stream = load(spool, id).open();
    stream.once('error', () => undefined);
    await once(stream, 'readable');
    breakOff(stream);
    await new Promise((closed) => stream.once('close', closed));
    assert.deepEqual(await readBody(spool, id), body);
  }
  await assert.rejects(
    pipeline(load(spool, id).open(), async (source) => {
      for await (const _ of source) throw new Error('the next hop has gone');
    }),
  );
  assert.deepEqual(await readPieces(spool, id), body);
  await spool.close();
});

test('while an entry that was not acknowledged is in the store, its body is there too', async () => {
  const stateDir = folder();
  let fails = true;
  // As another process tells of an error while this one syncs.
  const onSync = () => {
    if (fails) writeFileSync(join(stateDir, 'queue.db.fault'), 'io: EIO\n');
    fails = false;
  };
  const spool = new Spool(stateDir, onSync);
  const id = newQueueId(Date.now());
  const writer = spool.bodyWriter(id);
  await writer.write(randomBytes(LARGE));
  await assert.rejects(spool.enter(id, envelope, await writer.seal()));
  await spool.giveUp(id, writer);
  assert.ok(['message', 'gone'].includes(spool.load(id).kind));
  await until('it to be taken back', () => spool.read(id).kind === 'gone');
  assert.deepEqual([spool.depth, spool.damaged], [0, 0]);
  await spool.close();
});

test('the body of a message that did not enter is removed at once', async () => {
  const stateDir = folder();
  const spool = new Spool(stateDir);
  const id = newQueueId(Date.now());
  const writer = spool.bodyWriter(id);
  await writer.write(randomBytes(LARGE));
  await writer.seal();
  await spool.giveUp(id, writer);
  assert.deepEqual(readdirSync(join(stateDir, 'bodies')), []);
  await spool.close();
});

test('a body that cannot be opened for the moment is no damage', async () => {
  const stateDir = folder();
  const spool = new Spool(stateDir);
  const body = randomBytes(LARGE);
  const id = await enter(spool, body);
  const path = join(stateDir, 'bodies', id);
  const loaded = load(spool, id);
  renameSync(path, `${path}.away`);
  // A loop of links: no such file, no lack of rights, and no error of the disk.
  symlinkSync(path, path);
  await assert.rejects(buffer(loaded.open()), /ELOOP/);
  rmSync(path);
  renameSync(`${path}.away`, path);
  assert.deepEqual(await readBody(spool, id), body);
  await spool.close();
});

test('a body without a checksum, as earlier versions wrote it, is taken', async () => {
  const spool = new Spool(folder());
  const id = newQueueId(Date.now());
  const body = randomBytes(LARGE);
  const writer = spool.bodyWriter(id);
  await writer.write(body);
  const sealed = await writer.seal();
  assert.ok(sealed.kind === 'file' && sealed.crc === crc32(body));
  await spool.enter(id, envelope, { ...sealed, crc: 0 });
  assert.deepEqual(await readPieces(spool, id), body);
  await spool.close();
});

test('the first SQLite that keeps a store whole under several writers is taken, and no older one', () => {
  for (const version of ['3.51.3', '3.51.10', '3.52.0', '4.0.0']) refuseOldSqlite(version);
  for (const version of ['3.51.2', '3.9.9', '3.50.99', '2.99.99', ''])
    assert.throws(
      () => refuseOldSqlite(version),
      /^Error: SQLite .* use a Node with SQLite 3\.51\.3 or later$/,
    );
  refuseOldSqlite(process.versions['sqlite'] ?? '');
});

test('a store that was long gives its space back when nothing happens', async () => {
  const stateDir = folder();
  const spool = new Spool(stateDir);
  const ids: string[] = [];
  // A few at a time: bodies of many sessions at once are files, and the store stays small.
  while (ids.length < 200)
    ids.push(...(await Promise.all(Array.from({ length: 20 }, () => enter(spool, Buffer.alloc(100 * KIB))))));
  const size = () =>
    ['', '-wal'].reduce((sum, part) => sum + statSync(join(stateDir, `queue.db${part}`)).size, 0);
  assert.ok(size() > 15 * 2 ** 20, `${size()} bytes`);
  for (const id of ids.slice(1)) {
    const read = spool.read(id);
    assert.ok(read.kind === 'message');
    await spool.settle(id, { ...read.record, recipients: [] });
  }
  await until('a small file', () => size() < 2 ** 20);
  assert.deepEqual(await readBody(spool, ids[0] ?? ''), Buffer.alloc(100 * KIB));
  await spool.close();
});

test('what a dead process was writing is moved away while others write, and comes back when a record names it', async () => {
  const stateDir = folder();
  const spool = new Spool(stateDir);
  const bodies = join(stateDir, 'bodies');
  const dead = spawn(process.execPath, ['-e', '']);
  await once(dead, 'exit');
  writeFileSync(join(bodies, `dead.${dead.pid}`), 'half a message');
  const living = spool.bodyWriter('living');
  await living.write(Buffer.alloc(LARGE));
  const id = await enter(spool, Buffer.alloc(LARGE));
  spool.sweepLeft();
  assert.deepEqual(readdirSync(bodies).toSorted(), [id, `living.${process.pid}`].toSorted());
  assert.deepEqual(readdirSync(join(stateDir, 'strays')), [`dead.${dead.pid}`]);
  renameSync(join(bodies, id), join(stateDir, 'strays', id));
  assert.deepEqual(await readPieces(spool, id), Buffer.alloc(LARGE));
  await living.discard();
  await spool.close();
});

test('many sessions in the middle of a message hold little memory together, and lose no byte', async () => {
  const spool = new Spool(folder());
  const messages = Array.from({ length: 400 }, (_, index) => {
    const id = newQueueId(index);
    return { id, body: randomBytes(120 * KIB), writer: spool.bodyWriter(id) };
  });
  const before = process.memoryUsage().arrayBuffers;
  for (const { body, writer } of messages)
    for (let at = 0; at < 100 * KIB; at += 10 * KIB)
      await writer.write(Buffer.from(body.subarray(at, at + 10 * KIB)));
  const each = (process.memoryUsage().arrayBuffers - before) / messages.length;
  assert.ok(each < 150 * KIB, `${each} bytes for each`);
  for (const { id, body, writer } of messages) {
    await writer.write(body.subarray(100 * KIB));
    await spool.enter(id, envelope, await writer.seal());
  }
  for (const { id, body } of messages) assert.ok(body.equals(await readPieces(spool, id)));
  await spool.close();
});

test('what was entered before a SIGKILL is there afterwards, with several processes writing', async () => {
  const stateDir = folder();
  const acknowledged = new Set<string>();
  for (let round = 0; round < 4; round++) {
    const victims = [writer(stateDir, acknowledged, 40), writer(stateDir, acknowledged, 40)];
    await victims[round % 2]?.reached;
    victims[round % 2]?.child.kill('SIGKILL');
    await Promise.all(victims.map(({ reached, child }) => reached.then(() => child.kill('SIGKILL'))));
    await Promise.all(victims.map(({ gone }) => gone));
  }
  const spool = new Spool(stateDir);
  const present = new Set(spool.list());
  assert.ok(acknowledged.size >= 4 * 80);
  assert.deepEqual(
    [...acknowledged].filter((id) => !present.has(id) || spool.load(id).kind !== 'message'),
    [],
  );
  await spool.close();
});

/** A process that enters messages without end and prints each id when it is durable. */
function writer(stateDir: string, acknowledged: Set<string>, count: number) {
  const script = `
    import { Spool } from '${new URL('./spool.ts', import.meta.url).href}';
    import { newQueueId } from '${new URL('./record.ts', import.meta.url).href}';
    import { writeSync } from 'node:fs';
    const spool = new Spool(${JSON.stringify(stateDir)});
    const envelope = ${JSON.stringify(envelope)};
    const work = async () => {
      for (;;) {
        const id = newQueueId(Date.now());
        await spool.enter(id, envelope, { kind: 'inline', bytes: Buffer.from('body') });
        writeSync(1, id + '\\n');
      }
    };
    for (let i = 0; i < 4; i++) work();`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { promise: reached, resolve } = Promise.withResolvers<void>();
  let text = '';
  let printed = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk;
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    for (const id of lines) acknowledged.add(id);
    printed += lines.length;
    if (printed >= count) resolve();
  });
  const gone = once(child, 'close');
  gone.then(() => resolve());
  return { child, reached, gone };
}
