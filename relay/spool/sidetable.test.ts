import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { type PodDirs, podDirs } from '#test/kit/relayrig.ts';
import { inFile } from '#test/kit/storefile.ts';
import { Spool } from './spool.ts';

let dirs: PodDirs;
let spool: Spool;

beforeEach(() => {
  dirs = podDirs();
  spool = new Spool(dirs.stateDir);
});
afterEach(async () => {
  await spool.close();
  dirs.remove();
});

const json = (bounces: number) => JSON.stringify({ bounces, until: null });
const put = (address: string, bounces: number) => spool.suppressions.change(address, () => json(bounces));

/** Does this to the store while nobody has it open. */
async function meddle(sql: string): Promise<void> {
  await spool.close();
  inFile(join(dirs.stateDir, 'queue.db'), (database) => database.exec(sql));
  spool = new Spool(dirs.stateDir);
}

const listed = () => spool.suppressions.list('', 10).map(({ key, value }) => [key, value]);

for (const [what, sql] of [
  ['with another digit', `value = CAST(replace(value, '"bounces":2', '"bounces":3') AS BLOB)`],
  ['with another checksum', `value = CAST(replace(value, '"crc":"', '"crc":"0') AS BLOB)`],
  ['of another key', "value = (SELECT value FROM suppressed WHERE key = 'a@x.example')"],
  ['cut short', 'value = substr(value, 1, 20)'],
  ['without a byte', "value = x''"],
  ['of zeros', 'value = zeroblob(60)'],
  ['that is a number', 'value = 17'],
  ['that is a text', "value = 'bounces'"],
] as const)
  test(`a value ${what} is none, and is removed; the others stay`, async () => {
    for (const [address, bounces] of [
      ['a@x.example', 1],
      ['b@x.example', 2],
      ['c@x.example', 3],
    ] as const)
      await put(address, bounces);
    await meddle(`UPDATE suppressed SET ${sql} WHERE key = 'b@x.example'`);
    assert.equal(spool.suppressions.find('b@x.example'), undefined);
    assert.deepEqual(listed(), [
      ['a@x.example', json(1)],
      ['c@x.example', json(3)],
    ]);
    assert.deepEqual([await spool.suppressions.removeDamaged(), spool.suppressions.size], [1, 2]);
    assert.equal(await spool.suppressions.removeDamaged(), 0);
  });

test('a value of an earlier version has no checksum, and is read as long as it is JSON', async () => {
  await meddle(`INSERT INTO suppressed VALUES
    ('a@x.example', CAST('${json(1)}' AS BLOB)),
    ('b@x.example', CAST('{"bounces":' || char(1) || '2}' AS BLOB)),
    ('c@x.example', CAST('2' AS BLOB))`);
  assert.deepEqual(listed(), [['a@x.example', json(1)]]);
  await spool.suppressions.change('a@x.example', (before) => before && json(7));
  assert.deepEqual(listed(), [['a@x.example', json(7)]]);
});

test('a value that was written anew after it was found damaged stays', async () => {
  await put('a@x.example', 1);
  await meddle('UPDATE suppressed SET value = zeroblob(9)');
  assert.deepEqual(listed(), []);
  await put('a@x.example', 2);
  assert.equal(await spool.suppressions.removeDamaged(), 0);
  assert.equal(listed().length, 1);
});

test('damaged values never end a list, however many there are', async () => {
  for (let index = 0; index < 30; index++) await put(`${String(index).padStart(2, '0')}@x.example`, index);
  await meddle("UPDATE suppressed SET value = zeroblob(9) WHERE key < '25'");
  assert.equal(listed().length, 5);
  assert.equal(await spool.suppressions.removeDamaged(), 25);
});

for (const [what, key] of [
  ['that is no text', 'CAST(key AS BLOB)'],
  ['with another letter', "'B@x.example'"],
  ['without a letter', "''"],
  ['that is no UTF-8', "CAST(x'62f87840' AS TEXT)"],
  ['that is other than UTF-8', "CAST(x'62c07840' AS TEXT)"],
] as const)
  test(`a row with a key ${what} is removed once; the others stay`, async () => {
    for (const letter of 'abc') await spool.outbox.add([{ key: `${letter}@x.example`, value: json(1) }]);
    await meddle(`UPDATE events SET key = ${key} WHERE key = 'b@x.example'`);
    for (const atMost of [1, 10])
      assert.equal(spool.outbox.list(atMost)[0]?.key, 'a@x.example', `${atMost} at most`);
    await spool.outbox.forget(['a@x.example', 'c@x.example']);
    assert.deepEqual(spool.outbox.list(1), []);
    assert.deepEqual([await spool.outbox.dropDamaged(), spool.outbox.size], [1, 0]);
    assert.equal(await spool.outbox.dropDamaged(), 0);
  });

test('a row of an earlier version whose key is damaged is removed, and a letter that only looks damaged stays', async () => {
  await meddle(`INSERT INTO suppressed VALUES
    (CAST(x'62c07840' AS TEXT), CAST('${json(1)}' AS BLOB)), ('\ufffd@x.example', CAST('${json(2)}' AS BLOB))`);
  assert.deepEqual(listed(), [['\ufffd@x.example', json(2)]]);
  assert.deepEqual([await spool.suppressions.removeDamaged(), spool.suppressions.size], [1, 1]);
});

test('a list goes on after the key that it is given, and the oldest events are dropped with their damage', async () => {
  for (const letter of 'abc') await put(`${letter}@x.example`, 1);
  const after = spool.suppressions.list('a@x.example', 1);
  assert.deepEqual(
    after.map(({ key }) => key),
    ['b@x.example'],
  );
  for (const key of 'abc') await spool.outbox.add([{ key, value: json(1) }]);
  await meddle("UPDATE events SET key = CAST(key AS BLOB) WHERE key < 'c'");
  await spool.outbox.drop(3);
  assert.equal(spool.outbox.size, 0);
});
