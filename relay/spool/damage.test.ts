/** A store or a body that is damaged, cut short or left behind: it is told and set aside, and nothing whole goes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { enter, envelope, folder, LARGE, load, readBody, readPieces } from '#test/kit/spoolrig.ts';
import { inFile } from '#test/kit/storefile.ts';
import { until } from '#test/kit/wait.ts';
import { newQueueId } from './record.ts';
import type { Recovered } from './recovery.ts';
import { Spool } from './spool.ts';

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
    // Ids of one millisecond have no order.
    assert.deepEqual(spool.list(), ids.toSorted());
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
