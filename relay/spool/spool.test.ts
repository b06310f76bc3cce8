import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { buffer } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { until } from '#test/kit/wait.ts';
import { type Envelope, newQueueId } from './record.ts';
import { Spool } from './spool.ts';

const folders: string[] = [];
const folder = () => {
  const path = mkdtempSync(join(tmpdir(), 'mailrelay-spool-'));
  folders.push(path);
  return path;
};
after(() => {
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});

const LARGE = 700 * 1024;
const envelope: Envelope = {
  from: 'me@example.com',
  recipients: [
    { address: 'a@example.net', state: 'queued' },
    { address: 'b@example.net', state: 'queued' },
  ],
  receivedAt: 1,
  smtpUtf8: false,
  eightBit: false,
};

async function enter(spool: Spool, body: Buffer): Promise<string> {
  const id = newQueueId(Date.now());
  const writer = spool.bodyWriter(id);
  for (let at = 0; at < body.length; at += 64 * 1024) await writer.write(body.subarray(at, at + 64 * 1024));
  await spool.enter(id, envelope, await writer.seal());
  return id;
}

async function bodyOf(spool: Spool, id: string): Promise<Buffer> {
  const taken = spool.load(id);
  assert.ok(taken.kind === 'message');
  return buffer(taken.open());
}

/** As the router reads it: each piece is looked at before the next is asked for. */
async function piecesOf(spool: Spool, id: string): Promise<Buffer> {
  const taken = spool.load(id);
  assert.ok(taken.kind === 'message');
  const body = taken.pieces();
  if (Buffer.isBuffer(body)) return body;
  const copies: Buffer[] = [];
  for await (const piece of body) copies.push(Buffer.from(piece));
  return Buffer.concat(copies);
}

const KIB = 1024;

for (const size of [1, 40 * KIB, 128 * KIB, 128 * KIB + 1, 256 * KIB, 256 * KIB + 1, LARGE]) {
  test(`a message of ${size} bytes is taken as it was entered, more than once, by another handle too`, async () => {
    const stateDir = folder();
    const spool = new Spool(stateDir);
    const other = new Spool(stateDir);
    const body = randomBytes(size);
    const id = await enter(spool, body);
    assert.deepEqual(await bodyOf(spool, id), body);
    assert.deepEqual(await bodyOf(other, id), body);
    assert.deepEqual(await piecesOf(spool, id), body);
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
  const read = await Promise.all(ids.map((id) => piecesOf(spool, id)));
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
  const raw = new DatabaseSync(join(stateDir, 'queue.db'));
  raw.prepare('UPDATE bodies SET value = ? WHERE key = ?').run(Buffer.from('thebody '), id);
  raw.close();
  const again = new Spool(stateDir);
  assert.equal(again.load(id).kind, 'damaged');
  await again.close();
});

test('a store that cannot be opened is one sentence that names the folder', () => {
  const stateDir = folder();
  writeFileSync(join(stateDir, 'queue.db'), 'not a store '.repeat(1000));
  assert.throws(() => new Spool(stateDir), /^Error: Cannot open the queue in ".*queue\.db"/);
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

/** A process that enters messages without end and prints each id once it is durable. */
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
