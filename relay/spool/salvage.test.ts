/** A store with a damaged page is rebuilt at the start: what is whole arrives, and what is lost is counted. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { envelope, extrasOf, folder, makeStore, PAGE_BYTES, takeUp } from '#test/kit/damagedstore.ts';
import { inFile } from '#test/kit/storefile.ts';
import { newQueueId } from './record.ts';
import type { Recovered } from './recovery.ts';
import { Spool } from './spool.ts';

/** How many entries of `before` are not there. None is another, and there is none that was not. */
function countMissing(before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): number {
  for (const [key, value] of now) assert.equal(before.get(key), value, key);
  return before.size - now.size;
}

for (const [name, junk] of [
  ['zeros', () => Buffer.alloc(PAGE_BYTES)],
  ['random bytes', () => randomBytes(PAGE_BYTES)],
  ['another page', (file: Buffer) => file.subarray(PAGE_BYTES, 2 * PAGE_BYTES)],
] as const) {
  test(`each page of a store overwritten with ${name}: what is whole arrives, what is not is counted`, async () => {
    const origin = join(folder, `origin-${name}`);
    const bodies = await makeStore(origin);
    const file = readFileSync(join(origin, 'queue.db'));
    const whole = new Spool(origin);
    const extras = extrasOf(whole);
    assert.ok(Object.values(extras).every(({ size }) => size === 60));
    await whole.close();
    const pages = file.length / PAGE_BYTES;
    assert.ok(pages > 80);
    const worst = { missing: 0, page: 0 };
    for (let page = 0; page < pages; page++) {
      const dir = join(folder, `${name}-${page}`);
      mkdirSync(dir);
      const damaged = Buffer.from(file);
      junk(file).copy(damaged, page * PAGE_BYTES);
      writeFileSync(join(dir, 'queue.db'), damaged);
      const told: Recovered[] = [];
      const onRecovered = (recovered: Recovered) => told.push(recovered);
      const first = new Spool(dir, undefined, 'late', { isStart: true, onRecovered });
      await first.restore();
      await first.close();
      const spool = new Spool(dir, undefined, 'early', { onRecovered });
      const arrived = await takeUp(spool);
      for (const [id, body] of arrived)
        assert.ok(bodies.get(id)?.equals(body), `page ${page}: ${id} is another`);
      const missing = [...bodies.keys()].filter((id) => !arrived.has(id));
      const counted = spool.listDamaged();
      assert.deepEqual(
        missing.filter((id) => !counted.includes(id)),
        [],
        `page ${page}: not counted`,
      );
      if (missing.length > worst.missing) Object.assign(worst, { missing: missing.length, page });
      const kept = extrasOf(spool);
      assert.ok(countMissing(extras.events, kept.events) <= 8, `page ${page}: events`);
      assert.ok(countMissing(extras.suppressed, kept.suppressed) <= 16, `page ${page}: suppressed`);
      assert.ok(countMissing(extras.shaping, kept.shaping) <= 16, `page ${page}: shaping`);
      // The store then works as any other.
      await spool.enter(newQueueId(Date.now()), envelope, { kind: 'inline', bytes: Buffer.from('next') });
      await spool.close();
      rmSync(dir, { recursive: true });
    }
    // At most as many messages as fit on one page are lost.
    assert.ok(worst.missing <= 5, JSON.stringify(worst));
  });
}

test('each page of the log of a killed relay overwritten costs no more than lies on it', async () => {
  const origin = join(folder, 'log');
  const living = new Spool(origin, undefined, 'late');
  const bodies = new Map<string, Buffer>();
  for (let index = 0; index < 25; index++) {
    const id = newQueueId(1_700_000_000_000 + index);
    bodies.set(id, randomBytes(1 + ((index * 911) % 7_000)));
    await living.enter(id, envelope, { kind: 'inline', bytes: bodies.get(id) ?? Buffer.alloc(0) });
  }
  const [file, log] = ['queue.db', 'queue.db-wal'].map((name) => readFileSync(join(origin, name)));
  assert.ok(file && log && log.length > 50 * PAGE_BYTES);
  await living.close();
  // The first page is the header. Without it there is no log.
  for (let page = 1; page * PAGE_BYTES < log.length; page++) {
    const dir = join(folder, `log-${page}`);
    mkdirSync(dir);
    writeFileSync(join(dir, 'queue.db'), file);
    const damaged = Buffer.from(log);
    randomBytes(Math.min(PAGE_BYTES, log.length - page * PAGE_BYTES)).copy(damaged, page * PAGE_BYTES);
    writeFileSync(join(dir, 'queue.db-wal'), damaged);
    const spool = new Spool(dir, undefined, 'late', { isStart: true });
    const arrived = await takeUp(spool);
    for (const [id, body] of arrived)
      assert.ok(bodies.get(id)?.equals(body), `page ${page}: ${id} is another`);
    assert.ok(bodies.size - arrived.size <= 5, `page ${page}: ${arrived.size} of ${bodies.size}`);
    await spool.close();
    rmSync(dir, { recursive: true });
  }
});

test('what is left of a damaged record is kept, and no other', async () => {
  const dir = join(folder, 'remains');
  const bodies = await makeStore(dir);
  const file = join(dir, 'queue.db');
  const bytes = readFileSync(file);
  const [hurt = ''] = [...bodies.keys()].slice(20);
  // The row of the record: key, format, checksum, text.
  const at = bytes.indexOf(Buffer.concat([Buffer.from(hurt), Buffer.from([1])]));
  assert.ok(at > 0);
  bytes.write('HURT', bytes.indexOf('me@example.com', at), 'latin1');
  randomBytes(PAGE_BYTES).copy(bytes);
  writeFileSync(file, bytes);
  const told: Recovered[] = [];
  const onRecovered = (recovered: Recovered) => told.push(recovered);
  const spool = new Spool(dir, undefined, 'late', { isStart: true, onRecovered });
  assert.deepEqual(told[0]?.kind === 'rebuilt' && told[0].lost, [hurt]);
  assert.equal((await takeUp(spool)).size, bodies.size - 1);
  await spool.close();
  const rows = inFile(file, (database) => database.prepare('SELECT key, value FROM damaged').all());
  assert.deepEqual(
    rows.map(({ key }) => key),
    [hurt],
  );
  assert.match(Buffer.from(rows[0]?.['value'] as Uint8Array).toString(), /"from":"HURTxample.com"/);
});

test('a rebuild that was cut short is finished at the next start, and one that was not complete is begun anew', async () => {
  const origin = join(folder, 'cut-short');
  const bodies = await makeStore(origin);
  const whole = readFileSync(join(origin, 'queue.db'));
  const stages = [
    {
      files: {
        'queue.db': Buffer.from('damaged'),
        'queue.db-wal': Buffer.from('log'),
        'queue.db.new': whole,
      },
      aside: 2,
    },
    { files: { 'queue.db-wal': Buffer.from('log'), 'queue.db.new': whole }, aside: 1 },
    { files: { 'queue.db.new': whole }, aside: 0 },
    { files: { 'queue.db': whole, 'queue.db.building': Buffer.from('half') }, aside: 0 },
  ];
  for (const [index, { files, aside }] of stages.entries()) {
    const dir = join(folder, `cut-short-${index}`);
    mkdirSync(dir);
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(dir, name), bytes);
    const spool = new Spool(dir, undefined, 'late', { isStart: true });
    assert.deepEqual([...(await takeUp(spool)).keys()].toSorted(), [...bodies.keys()].toSorted());
    await spool.close();
    const names = readdirSync(dir);
    assert.equal(names.filter((name) => name.includes('.damaged-')).length, aside, `stage ${index}`);
    assert.ok(!names.some((name) => /building|\.new/.test(name)), names.join());
  }
});

for (const [name, put] of [
  ['a folder', (path: string) => void mkdirSync(path)],
  ['an empty file', (path: string) => writeFileSync(path, '')],
  ['no store', (path: string) => writeFileSync(path, 'no store '.repeat(1_000))],
  ['half a copy', (path: string, whole: Buffer) => writeFileSync(path, whole.subarray(0, 2 * PAGE_BYTES))],
] as const)
  test(`what has the name of a rebuilt store and is ${name} replaces no mail`, async () => {
    const dir = join(folder, `imposed as ${name}`);
    const bodies = await makeStore(dir);
    const path = join(dir, 'queue.db');
    const whole = readFileSync(path);
    for (const isStart of [true, false]) {
      put(`${path}.new`, whole);
      const spool = new Spool(dir, undefined, 'late', { isStart });
      assert.deepEqual(spool.list(), [...bodies.keys()].toSorted());
      await spool.close();
      assert.ok(!readdirSync(dir).some((each) => each.startsWith('queue.db.new')));
    }
  });
