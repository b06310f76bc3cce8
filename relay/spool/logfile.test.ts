/** What readLog says of any log is what SQLite makes of it: one wrong end, and a cut there takes mail. */
import assert from 'node:assert/strict';
import { closeSync, copyFileSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { randomFrom } from '#test/kit/powercut.ts';
import { seed } from '#test/kit/seed.ts';
import { folder } from '#test/kit/spoolrig.ts';
import { inFile } from '#test/kit/storefile.ts';
import { readLog } from './logfile.ts';

const [HEADER_BYTES, PAGE_BYTES, FRAME_BYTES] = [32, 4_096, 24 + 4_096];
const ROUNDS = 40;

type Draw = (below: number) => number;

/** Transactions of several sizes. Some are spilled into the log and taken back, some begin it again. */
function liveIn(database: DatabaseSync, draw: Draw): void {
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0');
  database.exec(
    `PRAGMA cache_size = ${draw(3) === 0 ? 5 : 500}; CREATE TABLE t (key INTEGER PRIMARY KEY, v)`,
  );
  const put = database.prepare('INSERT OR REPLACE INTO t VALUES (?, zeroblob(?))');
  for (let left = 1 + draw(12); left > 0; left--) {
    database.exec('BEGIN');
    for (let rows = 1 + draw(6); rows > 0; rows--) put.run(draw(40), draw(15_000));
    database.exec(draw(4) === 0 ? 'ROLLBACK' : 'COMMIT');
    const then = ['PASSIVE', 'RESTART', 'TRUNCATE'][draw(12)];
    if (then) database.exec(`PRAGMA wal_checkpoint(${then})`);
  }
}

type Harm = (log: Buffer, draw: Draw) => Buffer;

const drawFrame = (log: Buffer, draw: Draw) =>
  HEADER_BYTES + FRAME_BYTES * draw(Math.floor((log.length - HEADER_BYTES) / FRAME_BYTES));

function flip(log: Buffer, at: number, draw: Draw): Buffer {
  log.writeUInt8(log.readUInt8(at) ^ (1 << draw(8)), at);
  return log;
}

const HARMS: Readonly<Record<string, Harm>> = {
  none: (log) => log,
  'in the header': (log, draw) => flip(log, draw(HEADER_BYTES), draw),
  'in the header of a frame': (log, draw) => flip(log, drawFrame(log, draw) + draw(24), draw),
  'in a page': (log, draw) => flip(log, drawFrame(log, draw) + 24 + draw(PAGE_BYTES), draw),
  'an end anywhere': (log, draw) => log.subarray(0, draw(log.length)),
  'an end in the header': (log, draw) => log.subarray(0, draw(HEADER_BYTES + 9)),
  zeros: (log, draw) => log.fill(0, draw(log.length), log.length - draw(2) * FRAME_BYTES),
  'zeros behind': (log, draw) => Buffer.concat([log, Buffer.alloc(draw(3 * FRAME_BYTES))]),
  'old frames behind': (log, draw) => Buffer.concat([log, log.subarray(drawFrame(log, draw))]),
  'a frame that is missing': (log, draw) => {
    const at = drawFrame(log, draw);
    return Buffer.concat([log.subarray(0, at), log.subarray(at + FRAME_BYTES)]);
  },
};

/** The frames that SQLite finds, and the file with their pages. */
function askSqlite(file: string, log: Buffer): { readonly frames: number; readonly file: Buffer } {
  const path = join(folder(), 'copy.db');
  copyFileSync(file, path);
  writeFileSync(`${path}-wal`, log);
  const frames = inFile(path, (database) => {
    database.exec('PRAGMA synchronous = OFF');
    database.prepare('PRAGMA schema_version').get();
    return Number(database.prepare('PRAGMA wal_checkpoint(NOOP)').get()?.['log']);
  });
  return { frames, file: readFileSync(path) };
}

function readOurs(log: Buffer): ReturnType<typeof readLog> {
  const path = join(folder(), 'log');
  writeFileSync(path, log);
  const file = openSync(path, 'r');
  try {
    return readLog(file);
  } finally {
    closeSync(file);
  }
}

function compare(file: string, log: Buffer, what: string): void {
  const { taken, end } = readOurs(log);
  const sqlite = askSqlite(file, log);
  assert.equal(((end ?? HEADER_BYTES) - HEADER_BYTES) / FRAME_BYTES, sqlite.frames, what);
  assert.ok(askSqlite(file, log.subarray(0, end ?? 0)).file.equals(sqlite.file), what);
  for (const [page, place] of taken) {
    const theirs = sqlite.file.subarray((page - 1) * PAGE_BYTES, page * PAGE_BYTES);
    assert.ok(theirs.equals(log.subarray(place, place + theirs.length)), `${what}, page ${page}`);
  }
}

test('a log ends where SQLite ends it, whatever was written into it and whatever harmed it', () => {
  const random = randomFrom(seed);
  const draw = (below: number) => Math.floor(random() * below);
  const harms = Object.entries(HARMS);
  for (let round = 0; round < ROUNDS; round++) {
    const [live, left] = [join(folder(), 'live.db'), join(folder(), 'left.db')];
    const log = inFile(live, (database) => {
      liveIn(database, draw);
      copyFileSync(live, left);
      return existsSync(`${live}-wal`) ? readFileSync(`${live}-wal`) : Buffer.alloc(0);
    });
    const [name, harm] = harms[round % harms.length] ?? assert.fail();
    if (log.length > HEADER_BYTES) compare(left, harm(log, draw), `seed ${seed}, round ${round}: ${name}`);
  }
});
