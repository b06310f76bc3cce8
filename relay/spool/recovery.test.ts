import assert from 'node:assert/strict';
import fs, { mkdtempSync, readdirSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { inFile } from '#test/kit/storefile.ts';
import { type Envelope, newQueueId } from './record.ts';
import { type Recovered, recover } from './recovery.ts';
import { Spool } from './spool.ts';

const DAMAGE = 'damage: database disk image is malformed\n';
const PAGE_BYTES = 4_096;
const folder = mkdtempSync(join(tmpdir(), 'mailrelay-recovery-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const envelope: Envelope = {
  from: 'me@example.com',
  recipients: [{ address: 'you@example.net', state: 'queued' }],
  receivedAt: 1,
  smtpUtf8: false,
  eightBit: false,
};

async function makeStore(): Promise<string> {
  const dir = mkdtempSync(join(folder, 'store-'));
  const spool = new Spool(dir);
  for (let index = 0; index < 10; index++)
    await spool.enter(newQueueId(index), envelope, { kind: 'inline', bytes: Buffer.alloc(5_000) });
  await spool.close();
  return join(dir, 'queue.db');
}

function asideOf(path: string): string[] {
  return readdirSync(join(path, '..')).filter((name) => name.includes('.damaged-'));
}

/** Our own reads of these bytes fail. Returns how often somebody waited for the disk. */
function readBadly({ mock }: TestContext, from: number, to: number): () => number {
  const { readSync } = fs;
  const fake = (file: number, buffer: Buffer, offset: number, length: number, at: number) => {
    if (at < to && at + length > from) throw Object.assign(new Error('EIO'), { code: 'EIO' });
    return readSync(file, buffer, offset, length, at);
  };
  mock.method(fs, 'readSync', fake as unknown as typeof readSync);
  syncBuiltinESMExports();
  const pauses = mock.method(Atomics, 'wait', () => 'timed-out');
  return () => pauses.mock.callCount();
}

function readWell({ mock }: TestContext): void {
  mock.restoreAll();
  syncBuiltinESMExports();
}

for (const [name, bytes] of [
  ['', 0],
  [' that is large', 65 * 2 ** 20],
] as const)
  test(`damage that was told once of a store${name} and is not found sets nothing aside; told again, it is believed`, async () => {
    const path = await makeStore();
    if (bytes > 0) truncateSync(path, bytes);
    assert.equal(recover(path, DAMAGE)?.kind, 'log-renewed');
    assert.deepEqual(asideOf(path), []);
    assert.equal(recover(path, DAMAGE)?.kind, 'rebuilt');
    assert.equal(asideOf(path).length, 1);
    // The new store is as innocent as any.
    assert.equal(recover(path, DAMAGE)?.kind, 'log-renewed');
    // A start that sees nothing forgets what was told.
    assert.equal(recover(path, ''), undefined);
    assert.equal(recover(path, DAMAGE)?.kind, 'log-renewed');
    assert.equal(asideOf(path).length, 1);
  });

test('an alarm that was false long ago says nothing about one of today, and two of one hour do', async () => {
  const path = await makeStore();
  const mark = `${path}.doubted`;
  const age = (minutes: number) => {
    const then = new Date(Date.now() - minutes * 60_000);
    utimesSync(mark, then, then);
  };
  assert.equal(recover(path, DAMAGE)?.kind, 'log-renewed');
  age(61);
  assert.equal(recover(path, DAMAGE)?.kind, 'log-renewed');
  age(59);
  assert.equal(recover(path, DAMAGE)?.kind, 'rebuilt');
});

for (const [name, bytes] of [
  ['', 0],
  [' that is large', 65 * 2 ** 20],
] as const)
  test(`a damaged store of an earlier version${name} is looked at before a table is added to it`, async () => {
    const path = await makeStore();
    const ids = shortenFreeList(path, 'DROP TABLE shaping');
    if (bytes > 0) truncateSync(path, bytes);
    const told: Recovered[] = [];
    const onRecovered = (recovered: Recovered) => told.push(recovered);
    const spool = new Spool(join(path, '..'), undefined, 'late', { isStart: true, onRecovered });
    assert.deepEqual(told[0]?.kind === 'rebuilt' && told[0].lost, []);
    assert.deepEqual(
      ids.filter((id) => spool.load(id).kind !== 'message'),
      [],
    );
    await spool.close();
  });

test('a free list that names a page twice is found in a store of any size, though no table is missing', async () => {
  const path = await makeStore();
  const ids = shortenFreeList(
    path,
    'CREATE TABLE other (value BLOB); INSERT INTO other VALUES (zeroblob(30000)); DROP TABLE other',
  );
  truncateSync(path, 65 * 2 ** 20);
  const recovered = recover(path, '');
  assert.ok(recovered?.kind === 'rebuilt');
  assert.deepEqual([recovered.messages, recovered.lost], [ids.length, []]);
});

/** The free list that the SQL makes names a page of records: what is written next lies on that page. Returns all ids. */
function shortenFreeList(path: string, sql: string): string[] {
  const ids = inFile(path, (database) => {
    database.exec(sql);
    return database.prepare('SELECT key FROM records ORDER BY key').all();
  });
  const bytes = fs.readFileSync(path);
  const trunk = (bytes.readUInt32BE(32) - 1) * PAGE_BYTES;
  const leaves = bytes.readUInt32BE(trunk + 4);
  assert.ok(leaves > 0);
  const isRecords = (page: number) =>
    bytes[page * PAGE_BYTES] === 13 &&
    bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES).includes(envelope.from);
  const page = Array.from({ length: bytes.length / PAGE_BYTES }, (_, index) => index).find(isRecords) ?? 0;
  assert.ok(page > 0);
  for (let leaf = 0; leaf < leaves; leaf++) bytes.writeUInt32BE(page + 1, trunk + 8 + 4 * leaf);
  writeFileSync(path, bytes);
  return ids.map((row) => String(row['key']));
}

test('a store that is damaged is rebuilt when that is told for the first time, however large it is', async () => {
  const path = await makeStore();
  // The root of the records.
  const file = fs.openSync(path, 'r+');
  fs.writeSync(file, Buffer.alloc(PAGE_BYTES, 7), 0, PAGE_BYTES, PAGE_BYTES);
  fs.closeSync(file);
  truncateSync(path, 65 * 2 ** 20);
  // A large store is not looked through at a start.
  assert.equal(recover(path, ''), undefined);
  const recovered = recover(path, DAMAGE);
  assert.ok(recovered?.kind === 'rebuilt');
  assert.equal(recovered.messages + recovered.lost.length, 10);
});

for (const [name, notice] of [
  ['a read that failed', 'unreadable: disk I/O error\n'],
  ['damage', DAMAGE],
] as const)
  test(`after ${name}, a disk that stays unreadable is waited for once before the rebuild`, async (t) => {
    const path = await makeStore();
    const waits = readBadly(t, 5 * PAGE_BYTES, 6 * PAGE_BYTES);
    try {
      assert.equal(recover(path, notice)?.kind, 'rebuilt');
      assert.equal(waits(), 5);
    } finally {
      readWell(t);
    }
  });

test('what a killed process left of its look does not stay', async () => {
  const path = await makeStore();
  writeFileSync(`${path}.doubted`, '');
  const spool = new Spool(join(path, '..'), undefined, 'late', { isStart: true });
  await spool.close();
  assert.ok(!readdirSync(join(path, '..')).includes('queue.db.doubted'));
});
