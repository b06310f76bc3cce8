import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { inFile } from '#test/kit/storefile.ts';
import { type Envelope, encodeRecord, newQueueId } from './record.ts';
import type { Recovered } from './recovery.ts';
import { salvage } from './salvage.ts';
import { Spool } from './spool.ts';

const PAGE_BYTES = 4_096;
const folder = mkdtempSync(join(tmpdir(), 'mailrelay-damage-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const envelope: Envelope = {
  from: 'me@example.com',
  recipients: [{ address: 'you@example.net', state: 'queued', reason: 'x'.repeat(700) }],
  receivedAt: 1,
  smtpUtf8: false,
  eightBit: false,
};

/** What waits beside the mail, by key. */
interface Extras {
  readonly events: Map<string, string>;
  readonly suppressed: Map<string, string>;
  readonly shaping: Map<string, string>;
}

function extrasOf(spool: Spool): Extras {
  const events = spool.outbox.list(1_000).map(({ key, value }) => [key, value.toString()] as const);
  const [suppressed, shaping] = [spool.suppressions.list(), spool.shaping.list()];
  return {
    events: new Map(events),
    suppressed: new Map(suppressed.map(({ key, value }) => [key, value.toString()])),
    shaping: new Map(shaping.map(({ key, value }) => [key, value.toString()])),
  };
}

/** How many entries of `before` are not there. None is another, and there is none that was not. */
function countMissing(before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): number {
  for (const [key, value] of now) assert.equal(before.get(key), value, key);
  return before.size - now.size;
}

/**
 * Trees of several levels with deleted entries, so that pages are free. The store is closed, so everything is in one
 * file.
 */
async function makeStore(dir: string, beginning = Buffer.alloc(0)): Promise<Map<string, Buffer>> {
  const spool = new Spool(dir);
  const bodies = new Map<string, Buffer>();
  const enter = async (index: number) => {
    const id = newQueueId(1_700_000_000_000 + index);
    const body = Buffer.concat([beginning, randomBytes(1 + ((index * 911) % 7_000))]);
    const event = JSON.stringify({ id: index, text: 'e'.repeat(500) });
    const key = newQueueId(1_700_000_100_000 + index);
    await spool.enter(id, envelope, { kind: 'inline', bytes: body }, [{ key, value: event }]);
    const bounced = JSON.stringify({ bounces: index, text: 's'.repeat(200) });
    await spool.suppressions.change(`${index}@example.net`, () => bounced);
    const begun = JSON.stringify({ kind: 'begun', name: 'n'.repeat(200), index });
    await spool.shaping.put(new Map([[`begun ${index}.example`, begun]]));
    bodies.set(id, body);
  };
  await Promise.all(Array.from({ length: 60 }, (_, index) => enter(index)));
  for (const id of [...bodies.keys()].filter((_, index) => index % 7 === 3)) {
    const read = spool.read(id);
    assert.ok(read.kind === 'message');
    await spool.settle(id, { ...read.record, recipients: [] });
    bodies.delete(id);
  }
  await spool.close();
  return bodies;
}

/** Loads the messages as the router does at its start: unreadable entries are set aside. */
async function takeUp(spool: Spool): Promise<Map<string, Buffer>> {
  const arrived = new Map<string, Buffer>();
  for (const id of spool.list()) {
    const loaded = spool.load(id);
    if (loaded.kind === 'damaged') await spool.setAside(id);
    if (loaded.kind === 'message') arrived.set(id, loaded.pieces() as Buffer);
  }
  return arrived;
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

test('the first page of a store that an earlier version made costs nothing, whatever address is suppressed', async () => {
  const dir = join(folder, 'upgraded');
  const earlier = new Spool(dir);
  const bounced = '{"bounces":1}';
  await Promise.all(
    Array.from({ length: 40 }, (_, index) => {
      const body = { kind: 'inline', bytes: randomBytes(3_000) } as const;
      return earlier.enter(newQueueId(1_700_000_000_000 + index), envelope, body);
    }),
  );
  // An address whose local part has a space.
  await earlier.suppressions.change('slow x@example.net', () => bounced);
  await earlier.close();
  inFile(join(dir, 'queue.db'), (database) => database.exec('DROP TABLE shaping; VACUUM'));
  const upgraded = new Spool(dir, undefined, 'late', { isStart: true });
  for (let index = 0; index < 60; index++) {
    const begun = JSON.stringify({ kind: 'begun', name: 'n'.repeat(200), index });
    await upgraded.shaping.put(new Map([[`begun ${index}.example`, begun]]));
  }
  const extras = extrasOf(upgraded);
  await upgraded.close();
  const { spool, told } = await damageFirstPage(dir);
  assert.equal(told[0]?.kind, 'rebuilt');
  assert.equal(spool.depth, 40);
  assert.deepEqual(extrasOf(spool), extras);
  await spool.close();
});

test('a first block that is lost costs no message of a store that an earlier version began', () => {
  const tables = ['records', 'bodies', 'damaged', 'events', 'suppressed', 'shaping'];
  const file = join(folder, 'earlier.db');
  const body = randomBytes(30);
  inFile(file, (database) => {
    const create = (name: string) =>
      database.exec(`CREATE TABLE ${name} (key TEXT PRIMARY KEY, value BLOB NOT NULL)`);
    for (const name of tables.slice(0, -1)) create(name);
    for (let index = 0; index < 60; index++) {
      const id = newQueueId(1_700_000_000_000 + index);
      const record = encodeRecord({ ...envelope, bytes: body.length, crc: crc32(body), body: 'store' });
      database.prepare('INSERT INTO records VALUES (?, ?)').run(id, record);
      database.prepare('INSERT INTO bodies VALUES (?, ?)').run(id, body);
    }
    // Its pages come behind those of the messages.
    create('shaping');
  });
  const bytes = readFileSync(file);
  writeFileSync(file, bytes.fill(0, 0, 2 * PAGE_BYTES));
  const { messages, lost } = salvage(file, join(folder, 'earlier-new.db'));
  assert.deepEqual([messages, lost.length], [60, 0]);
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

/** The first page is damaged, so no page tells its table. */
async function damageFirstPage(dir: string): Promise<{ spool: Spool; told: Recovered[] }> {
  const file = join(dir, 'queue.db');
  const bytes = readFileSync(file);
  randomBytes(PAGE_BYTES).copy(bytes);
  writeFileSync(file, bytes);
  // Too large to be checked completely at a start.
  truncateSync(file, 65 * 2 ** 20);
  const told: Recovered[] = [];
  const onRecovered = (recovered: Recovered) => told.push(recovered);
  return { spool: new Spool(dir, undefined, 'late', { isStart: true, onRecovered }), told };
}

// The first bytes of a record are its format, a checksum and a brace.
for (const [name, beginning] of [
  ['of any kind', Buffer.alloc(0)],
  ['that begin as a record does', Buffer.from('\u0001abcd{"from":"')],
  ['that begin as a record of a later format does', Buffer.from('\u0009abcd{')],
] as const)
  test(`a store too large to be looked through is set aside where its first page is damaged, with bodies ${name}`, async () => {
    const dir = join(folder, name);
    const bodies = await makeStore(dir, beginning);
    const { spool, told } = await damageFirstPage(dir);
    const arrived = await takeUp(spool);
    assert.deepEqual([...arrived.keys()].toSorted(), [...bodies.keys()].toSorted());
    for (const [id, body] of arrived) assert.ok(bodies.get(id)?.equals(body), id);
    assert.deepEqual(
      told.map(({ kind }) => kind),
      ['rebuilt'],
    );
    await spool.close();
  });
