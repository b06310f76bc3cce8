/** The spool keeps what was entered, and gives it back byte by byte: with many sessions, many processes and a kill. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { enter, envelope, folder, LARGE, readBody, readPieces } from '#test/kit/spoolrig.ts';
import { until } from '#test/kit/wait.ts';
import { refuseOldSqlite } from './openstore.ts';
import { newQueueId } from './record.ts';
import { Spool } from './spool.ts';

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
