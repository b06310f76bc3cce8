/**
 * Frames of the log that SQLite does not take: behind the end, where a transaction failed, and behind a part that is
 * damaged. What never was in force brings no mail, and what may have been acknowledged stays.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { appendFileSync, cpSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { enter, folder } from '#test/kit/spoolrig.ts';
import { inFile } from '#test/kit/storefile.ts';
import { OpenStore } from './openstore.ts';
import type { Recovered } from './recovery.ts';
import { Spool } from './spool.ts';

const [HEADER_BYTES, FRAME_HEADER_BYTES, PAGE_BYTES] = [32, 24, 4_096];
const FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES;

const logOf = (stateDir: string) => join(stateDir, 'queue.db-wal');
const framesIn = (stateDir: string) => (statSync(logOf(stateDir)).size - HEADER_BYTES) / FRAME_BYTES;

/** The folder as a kill leaves it now. */
function kill(stateDir: string): string {
  const left = folder();
  cpSync(stateDir, left, { recursive: true, filter: (name) => !/\.lock$|-shm$/.test(name) });
  return left;
}

function start(stateDir: string): { readonly spool: Spool; readonly told: readonly string[] } {
  const told: string[] = [];
  const onRecovered = ({ kind }: Recovered) => void told.push(kind);
  return { spool: new Spool(stateDir, undefined, 'late', { isStart: true, onRecovered }), told };
}

interface Living {
  readonly stateDir: string;
  readonly spool: Spool;
  readonly ids: readonly string[];
}

/** All of it is in the log. */
async function live(messages: number, bytes: number): Promise<Living> {
  const stateDir = folder();
  const spool = new Spool(stateDir);
  const ids: string[] = [];
  while (ids.length < messages) ids.push(await enter(spool, Buffer.alloc(bytes, String(ids.length))));
  return { stateDir, spool, ids };
}

async function deliver(spool: Spool, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const read = spool.read(id);
    assert.ok(read.kind === 'message');
    await spool.settle(id, { ...read.record, recipients: [] });
  }
}

function flip(stateDir: string, at: number): void {
  const bytes = readFileSync(logOf(stateDir));
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(logOf(stateDir), bytes);
}

/** Damages the content of a frame, or its checksum. */
function flipFrame(stateDir: string, frame: number, at = FRAME_HEADER_BYTES + 2_000): void {
  flip(stateDir, HEADER_BYTES + frame * FRAME_BYTES + at);
}

/** The log with one more transaction, which this store never had. It writes each page of mail, and not these records. */
function imagine(stateDir: string, spared: readonly string[]): Buffer {
  return inFile(join(kill(stateDir), 'queue.db'), (database) => {
    database.exec('BEGIN; UPDATE bodies SET value = zeroblob(1500)');
    database
      .prepare("UPDATE records SET value = x'00' WHERE key NOT IN (SELECT value FROM json_each(?))")
      .run(JSON.stringify(spared));
    database.exec('COMMIT');
    return readFileSync(`${database.location()}-wal`);
  });
}

test('a transaction that failed, behind the end of a shorter one, brings back no mail that was delivered', async () => {
  const { stateDir, spool, ids } = await live(100, 1_500);
  const [kept, gone] = [ids.slice(0, -3), ids.slice(-3)];
  const imagined = imagine(stateDir, gone);
  await deliver(spool, gone);
  const left = kill(stateDir);
  // Its last frame was not written.
  const behind = imagined.subarray(statSync(logOf(left)).size, -FRAME_BYTES);
  assert.ok(behind.length > 0);
  appendFileSync(logOf(left), behind);
  const again = start(left);
  assert.deepEqual(again.spool.list(), kept.toSorted());
  assert.deepEqual([again.spool.damaged, again.told], [0, []]);
  await again.spool.close();
  await spool.close();
});

test('a transaction that failed when it was whole in the log is cut off, and nothing that others committed', async () => {
  const stateDir = folder();
  const path = join(stateDir, 'queue.db');
  const [one, other] = [new OpenStore(path, 'early'), new OpenStore(path, 'late')];
  const values = new Map(
    Array.from({ length: 60 }, (_, index) => [`key ${index}`, Buffer.alloc(3_000, index)]),
  );
  const put = (store: OpenStore, from: number, to: number) =>
    store.transact(({ bodies }) => {
      for (const [key, value] of [...values].slice(from, to)) bodies.put(key, value);
    });
  const cut = () => {
    const end = statSync(logOf(stateDir)).size;
    const frame = Buffer.alloc(FRAME_BYTES, 1);
    readFileSync(logOf(stateDir)).copy(frame, 8, 16, 24);
    appendFileSync(logOf(stateDir), Buffer.concat([frame, frame, frame]));
    one.cutUnfinished();
    assert.equal(statSync(logOf(stateDir)).size, end);
  };
  put(one, 0, 20);
  put(other, 20, 40);
  cut();
  // The log begins again, in a file that is longer.
  one.emptyLog();
  put(other, 40, 60);
  cut();
  for (const store of [one, other, new OpenStore(join(kill(stateDir), 'queue.db'), 'late')]) {
    for (const [key, value] of values) assert.ok(store.tables.bodies.get(key)?.equals(value));
    store.close();
  }
});

test('mail that an error of the disk has refused does not come back behind a later transaction', async () => {
  const { stateDir, spool, ids } = await live(100, 1_500);
  const [kept, gone] = [ids.slice(0, -3), ids.slice(-3)];
  const imagined = imagine(stateDir, gone);
  const left = kill(stateDir);
  writeFileSync(logOf(left), imagined);
  // The first page of the failed sync never reached the disk.
  flipFrame(left, framesIn(stateDir));
  await spool.close();
  writeFileSync(join(left, 'queue.db.fault'), 'io: disk I/O error\n');
  const second = start(left);
  assert.deepEqual(second.told, ['log-renewed']);
  await deliver(second.spool, gone);
  const third = start(kill(left));
  assert.deepEqual(third.spool.list(), kept.toSorted());
  assert.deepEqual([third.spool.damaged, third.told], [0, []]);
  for (const each of [second, third]) await each.spool.close();
});

for (const notice of ['damage: database disk image is malformed\n', 'unreadable: disk I/O error\n'])
  test(`mail behind a damaged frame stays, also after a kill with the notice "${notice.trim()}"`, async () => {
    const { stateDir, spool, ids } = await live(10, 6_500);
    const left = kill(stateDir);
    await spool.close();
    flipFrame(left, 30);
    writeFileSync(join(left, 'queue.db.fault'), notice);
    const again = start(left);
    assert.deepEqual(again.spool.list(), ids.toSorted());
    await again.spool.close();
  });

test('mail behind a damaged frame stays where all processes were killed, and one of them comes again without a start', async () => {
  const { stateDir, spool, ids } = await live(10, 6_500);
  const left = kill(stateDir);
  await spool.close();
  flipFrame(left, 30);
  const again = [new Spool(left, undefined, 'late'), new Spool(left)];
  for (const each of again) assert.deepEqual(each.list(), ids.toSorted());
  const started = start(kill(left));
  assert.deepEqual(started.spool.list(), ids.toSorted());
  for (const each of [...again, started.spool]) await each.close();
});

test('a damaged frame within the last transaction takes what lies in it, and not what lies before it', async () => {
  const { stateDir, spool, ids } = await live(5, 6_500);
  const left = kill(stateDir);
  await spool.close();
  // Behind it comes the last part of the body, and before it lies the record.
  flipFrame(left, framesIn(left) - 2);
  const again = start(left);
  assert.deepEqual(again.spool.list(), ids.toSorted());
  assert.deepEqual(again.told, ['log-damaged']);
  await again.spool.close();
});

for (const [part, at] of Object.entries({
  'magic number': 0,
  version: 5,
  'page size': 9,
  salt: 17,
  checksum: 25,
}))
  test(`a log with a damaged header gives back its mail: ${part}`, async () => {
    const { stateDir, spool, ids } = await live(3, 100);
    const left = kill(stateDir);
    await spool.close();
    flip(left, at);
    const again = start(left);
    assert.deepEqual(again.spool.list(), ids.toSorted());
    assert.deepEqual(again.told, ['log-damaged']);
    await again.spool.close();
  });

for (const [name, junk] of Object.entries({
  zeros: Buffer.alloc(PAGE_BYTES),
  bytes: randomBytes(PAGE_BYTES),
}))
  test(`a log whose first block is overwritten with ${name} gives back the mail behind it`, async () => {
    const { stateDir, spool, ids } = await live(5, 6_500);
    const left = kill(stateDir);
    await spool.close();
    const bytes = readFileSync(logOf(left));
    junk.copy(bytes);
    writeFileSync(logOf(left), bytes);
    const again = start(left);
    assert.deepEqual(again.spool.list(), ids.toSorted());
    assert.deepEqual(again.told, ['log-damaged']);
    await again.spool.close();
  });

/** As a machine with big numbers first writes it. SQLite reads both. */
function turnRound(log: Buffer): Buffer {
  const turned = Buffer.from(log);
  const sum = [0, 0];
  const add = (from: number, to: number) => {
    for (let at = from; at < to; at += 8) {
      sum[0] = ((sum[0] ?? 0) + turned.readUInt32BE(at) + (sum[1] ?? 0)) >>> 0;
      sum[1] = ((sum[1] ?? 0) + turned.readUInt32BE(at + 4) + (sum[0] ?? 0)) >>> 0;
    }
  };
  const put = (at: number) => {
    for (const [index, part] of sum.entries()) turned.writeUInt32BE(part, at + 4 * index);
  };
  turned.writeUInt32BE(0x377f0683, 0);
  add(0, 24);
  put(24);
  for (let at = HEADER_BYTES; at < turned.length; at += FRAME_BYTES) {
    add(at, at + 8);
    add(at + FRAME_HEADER_BYTES, at + FRAME_BYTES);
    put(at + 16);
  }
  return turned;
}

test('a log that only SQLite can read is left as it is', async () => {
  const { stateDir, spool, ids } = await live(3, 100);
  const left = kill(stateDir);
  await spool.close();
  writeFileSync(logOf(left), turnRound(readFileSync(logOf(left))));
  const again = start(left);
  assert.deepEqual(again.spool.list(), ids.toSorted());
  assert.deepEqual(again.told, []);
  await again.spool.close();
});
