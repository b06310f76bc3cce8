import assert from 'node:assert/strict';
import fs, { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { classifyError, type StoreError } from './fault.ts';
import { lookAtLog, writeLogAgain } from './logagain.ts';
import { endOfFrames, readLog } from './logfile.ts';
import { OpenStore } from './openstore.ts';
import { PAGE_BYTES } from './sqlitefile.ts';

const folder = mkdtempSync(join(tmpdir(), 'mailrelay-logagain-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Open, with frames in its log whose pages all have newer ones. */
function opened(): { path: string; store: OpenStore } {
  const path = join(mkdtempSync(join(folder, 'store-')), 'queue.db');
  const store = new OpenStore(path, 'late');
  for (const value of [1, 2, 3]) put(store, value);
  return { path, store };
}

function put(store: OpenStore, value: number): void {
  store.transact(({ records }) => records.put('id', Buffer.alloc(100, value)));
}

function isUnreadable(error: unknown): boolean {
  return classifyError(error as StoreError) === 'unreadable';
}

test('a log that lacks a frame of an older state of its page is not written behind', () => {
  const { path, store } = opened();
  const log = openSync(`${path}-wal`, 'r+');
  const frame = endOfFrames(1, PAGE_BYTES) - endOfFrames(0, PAGE_BYTES);
  writeSync(log, Buffer.alloc(frame), 0, frame, (readLog(log).end ?? 0) - 2 * frame);
  closeSync(log);
  assert.throws(() => OpenStore.share(path, 'late'), isUnreadable);
  store.close();
});

test('a log that has begun anew since it was looked at is not judged', () => {
  const { store } = opened();
  const seen = lookAtLog(store.log, () => endOfFrames(1_000, PAGE_BYTES));
  assert.throws(() => writeLogAgain(store.log, seen), isUnreadable);
  store.emptyLog();
  put(store, 4);
  writeLogAgain(store.log, seen);
  store.close();
});

test('a store with larger pages opens, and is not judged', () => {
  const path = join(mkdtempSync(join(folder, 'store-')), 'queue.db');
  const made = new DatabaseSync(path);
  made.exec('PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; CREATE TABLE other (name)');
  const store = OpenStore.share(path, 'late');
  put(store, 1);
  const again = OpenStore.share(path, 'late');
  assert.equal(again.tables.records.get('id')?.length, 100);
  for (const open of [again, store, made]) open.close();
});

for (const [code, opens] of [
  ['ENOSPC', true],
  ['EDQUOT', true],
  ['EIO', false],
] as const)
  test(`a store whose log cannot be written again for ${code} ${opens ? 'opens' : 'does not open'}`, (context) => {
    const { path, store } = opened();
    context.mock.method(fs, 'writeSync', () => {
      throw Object.assign(new Error(code), { code });
    });
    syncBuiltinESMExports();
    const open = () => OpenStore.share(path, 'late').close();
    if (opens) open();
    else assert.throws(open, { code });
    context.mock.restoreAll();
    syncBuiltinESMExports();
    store.close();
  });

test('who opens a store whose lock another process does not let go of waits for it once', (context) => {
  const { path, store } = opened();
  const exec = DatabaseSync.prototype.exec;
  let waits = 0;
  context.mock.method(DatabaseSync.prototype, 'exec', function (this: DatabaseSync, sql: string) {
    if (sql.startsWith('BEGIN IMMEDIATE')) {
      waits += 1;
      exec.call(this, 'PRAGMA busy_timeout = 1');
    }
    exec.call(this, sql);
  });
  const holder = new DatabaseSync(path);
  exec.call(holder, 'BEGIN IMMEDIATE');
  assert.throws(
    () => OpenStore.share(path, 'late'),
    (error) => classifyError(error as StoreError) === 'busy',
  );
  assert.equal(waits, 1);
  holder.close();
  store.close();
});
