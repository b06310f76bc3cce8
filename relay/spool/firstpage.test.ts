/** A store whose first page is lost, so that no page tells its table: no message of it goes. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { envelope, extrasOf, folder, makeStore, PAGE_BYTES, takeUp } from '#test/kit/damagedstore.ts';
import { inFile } from '#test/kit/storefile.ts';
import { encodeRecord, newQueueId } from './record.ts';
import type { Recovered } from './recovery.ts';
import { salvage } from './salvage.ts';
import { Spool } from './spool.ts';

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
