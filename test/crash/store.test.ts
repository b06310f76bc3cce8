/**
 * The store of a running relay: after a sync that failed every process lets go of it and its log is a fresh file before
 * the next 250; pages that were overwritten cost what lay on them and nothing else; a volume that was full takes mail
 * again when the queue is drained, and gets its space back.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { classifyError, type StoreError } from '#relay/spool/fault.ts';
import { OpenStore } from '#relay/spool/openstore.ts';
import { recover } from '#relay/spool/recovery.ts';
import { Spool } from '#relay/spool/spool.ts';
import { endWithFile } from '#test/kit/child.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { freePort } from '#test/kit/ports.ts';
import { doToQueue, listQueue } from '#test/kit/queuetools.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { Sink } from '#test/kit/sink.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { enter, folder, readBody } from '#test/kit/spoolrig.ts';
import { straceProblem } from '#test/kit/strace.ts';
import { until } from '#test/kit/wait.ts';

const isRoot = process.getuid?.() === 0;
const problem = straceProblem();
const PAGE_BYTES = 4_096;
const SENDERS = 6;
const FILLING = 'x'.repeat(70).concat('\r\n').repeat(800);

async function sendOne(port: number, id: string, filling = ''): Promise<string> {
  const client = await SmtpClient.connect(port);
  try {
    await client.hello();
    return await client.send('a@client.example', ['b@example.com'], messageText(id) + filling);
  } finally {
    client.close();
  }
}

/** Sends until the relay refuses, over several connections, because each waits for the disk. */
async function fill(port: number): Promise<{ taken: number; refusals: readonly string[] }> {
  let [sent, taken] = [0, 0];
  const sendAll = async (): Promise<string> => {
    for (;;) {
      const answer = await sendOne(port, `full-${sent++}`, FILLING).catch(({ message }: Error) => message);
      if (!answer.startsWith('250')) return answer;
      taken += 1;
    }
  };
  const refusals = await Promise.all(Array.from({ length: SENDERS }, sendAll));
  return { taken, refusals };
}

/** What the process has open of the store. */
function openOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/${pid}/fd/${fd}`);
      return target.includes('queue.db') ? [target] : [];
    } catch {
      return [];
    }
  });
}

/** One sync of the log by this process fails. The returned function waits for the failure. */
async function failNextSync(pid: number): Promise<() => Promise<void>> {
  const inject = ['-e', 'trace=fdatasync', '-e', 'inject=fdatasync:error=EIO:when=1'];
  const child = endWithFile(
    spawn('strace', ['-f', '-p', String(pid), ...inject], {
      stdio: ['ignore', 'ignore', 'pipe'],
    }),
  );
  let text = '';
  child.stderr.on('data', (chunk) => {
    text += chunk;
  });
  await until('strace to attach', () => text.includes('attached'));
  return async () => {
    await until('the fault', () => /fdatasync\b.* EIO .*\(INJECTED\)/.test(text));
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGINT');
    await ended;
  };
}

describe('the store of a relay', { concurrency: false }, () => {
  test('after a sync that failed all processes reopen it, its log is another file, and none of them died', {
    skip: problem,
  }, async () => {
    const relay = await TestRelay.start({
      manifest: ([port]) => storyManifest({ port, nextHop: 1 }),
    });
    try {
      const port = relay.ports[0] ?? 0;
      const log = join(relay.stateDir, 'queue.db-wal');
      assert.match(await sendOne(port, 'before'), /^250/);
      // While this handle is open, no new file gets the same inode number.
      const held = openSync(log, 'r');
      const { ino } = fstatSync(held);
      const tasks = ['listener/main.ts', 'router/main.ts'].map((script) => relay.findTask(script));
      const stop = await failNextSync(tasks[0] ?? 0);
      assert.match(await sendOne(port, 'failed'), /^451 4\.3\.0/);
      await stop();
      await until('a 250', async () => (await sendOne(port, 'behind')).startsWith('250'));
      assert.notEqual(statSync(log).ino, ino);
      await until('no handle of what was', () =>
        tasks.every((pid) => openOf(pid).every((path) => !path.includes('(deleted)'))),
      );
      await relay.waitForOutput(/spool_recovered.*log-renewed.*EIO/);
      await until('both', async () => (await relay.status()).queue.depth === 2);
      closeSync(held);
      assert.deepEqual(
        ['listener/main.ts', 'router/main.ts'].map((script) => relay.findTask(script)),
        tasks,
      );
      assert.doesNotMatch(relay.stdout + relay.stderr, /task_died|spool_broken/);
      assert.equal(readdirSync(relay.stateDir).includes('queue.db.fault'), false);
    } finally {
      await relay.remove();
    }
  });

  test('pages overwritten between two lives cost what lay on them; the rest is delivered', async () => {
    const nextHop = await freePort();
    const relay = await TestRelay.start({ manifest: ([port]) => storyManifest({ port, nextHop }) });
    let sink: Sink | undefined;
    try {
      const ids = Array.from({ length: 20 }, (_, index) => `whole-${index}`);
      for (const id of ids)
        assert.match(await sendOne(relay.ports[0] ?? 0, id, FILLING.slice(0, 7_200)), /^250/);
      await relay.stop();
      const file = join(relay.stateDir, 'queue.db');
      const bytes = readFileSync(file);
      // The first page, the root of the records, and some page of a body.
      for (const page of [0, 1, Math.floor(bytes.length / PAGE_BYTES / 2)])
        randomBytes(PAGE_BYTES).copy(bytes, page * PAGE_BYTES);
      writeFileSync(file, bytes);
      sink = await Sink.start({ port: nextHop });
      const arrived = sink;
      await relay.up();
      const owed = await until(
        'all but one',
        async () => {
          const missing = ids.filter((id) => !arrived.counts().has(id));
          const { depth, held } = (await relay.status()).queue;
          return depth === 0 && missing.length === held ? missing : undefined;
        },
        60_000,
      );
      assert.ok(owed.length <= 2, `${owed.length} messages did not arrive`);
      assert.ok(readdirSync(relay.stateDir).some((name) => name.startsWith('queue.db.damaged-')));
      await relay.waitForOutput(/spool_recovered.*rebuilt/);
      assert.match(await sendOne(relay.ports[0] ?? 0, 'next'), /^250/);
      await until('the next', () => arrived.counts().has('next'));
    } finally {
      await relay.remove();
      await sink?.down();
    }
  });

  test('a volume that was filled with mail takes mail again when the queue is drained, and its file shrinks', {
    skip: !isRoot && 'needs root for a small file system',
  }, async () => {
    const dir = mkdtempSync(join(tmpdir(), 'mailrelay-full-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', dir]);
    const nextHop = await freePort();
    let [sink, relay]: [Sink | undefined, TestRelay | undefined] = [undefined, undefined];
    try {
      mkdirSync(join(dir, 'relay'));
      relay = await TestRelay.start({
        dir: join(dir, 'relay'),
        manifest: ([port]) => storyManifest({ port, nextHop, queue: '{storage: {size: 48Mi}}' }),
      });
      const port = relay.ports[0] ?? 0;
      const { taken, refusals } = await fill(port);
      for (const refusal of refusals) assert.match(refusal, /452 4\.3\.1/);
      const file = join(relay.stateDir, 'queue.db');
      const grown = statSync(file).size;
      assert.ok(grown > 10 * 2 ** 20, `${grown} bytes after ${taken} messages`);
      sink = await Sink.start({ port: nextHop });
      const [arrived, drained] = [sink, relay];
      // By itself the relay tries again after a minute.
      await until(
        'everything',
        async () => {
          await doToQueue(drained, 'retry', ...(await listQueue(drained)).map(({ id }) => id));
          return arrived.counts().size >= taken;
        },
        120_000,
      );
      assert.match(
        await until('room', async () => {
          const answer = await sendOne(port, 'again').catch(({ message }: Error) => message);
          return answer.startsWith('250') ? answer : undefined;
        }),
        /^250/,
      );
      await until('a small file', () => statSync(file).size < grown / 4, 60_000);
    } finally {
      await relay?.stop();
      await sink?.down();
      execFileSync('umount', ['--lazy', dir]);
      rmSync(dir, { recursive: true, force: true });
    }
  });

  test('a disk that is full where the index of the log must grow is a full disk, and no kill brings back what it refused', {
    skip: !isRoot && 'needs root for a small file system',
  }, async () => {
    const dir = mkdtempSync(join(tmpdir(), 'mailrelay-full-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', dir]);
    try {
      const spool = new Spool(dir, undefined, 'late');
      const kept = [await enter(spool, Buffer.from('x'))];
      const store = new OpenStore(join(dir, 'queue.db'), 'late');
      const logPages = () => Math.floor(statSync(join(dir, 'queue.db-wal')).size / (PAGE_BYTES + 24));
      // The first part of the index is for 4062 pages. There is room for them, and for a part of the next part.
      for (let count = 0; logPages() < 4_060; count++)
        store.transact(({ shaping }) => shaping.put(`${count}`, Buffer.alloc(1)));
      const { bavail, bsize } = statfsSync(dir);
      writeFileSync(join(dir, 'filling'), Buffer.alloc(bavail * bsize - (4_070 - logPages()) * PAGE_BYTES));
      await assert.rejects(
        enter(spool, Buffer.from('x')),
        (error: StoreError) => error.errcode === 4_874 && classifyError(error) === 'full',
      );
      const left = folder();
      for (const name of ['queue.db', 'queue.db-wal']) copyFileSync(join(dir, name), join(left, name));
      const killed = new Spool(left, undefined, 'late', { isStart: true });
      assert.deepEqual(killed.list(), kept);
      await killed.close();
      rmSync(join(dir, 'filling'));
      kept.push(await enter(spool, Buffer.from('x')));
      assert.deepEqual(spool.list(), kept.toSorted());
      store.close();
      await spool.close();
    } finally {
      execFileSync('umount', ['--lazy', dir]);
      rmSync(dir, { recursive: true, force: true });
    }
  });

  test('a disk that is full before a rebuild is complete keeps the damaged store, and the next start has all of it', {
    skip: !isRoot && 'needs root for a small file system',
  }, async () => {
    const dir = mkdtempSync(join(tmpdir(), 'mailrelay-full-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', dir]);
    try {
      const path = join(dir, 'queue.db');
      const writer = new Spool(dir, undefined, 'late');
      const ids: string[] = [];
      while (ids.length < 100) ids.push(await enter(writer, randomBytes(20_000)));
      await writer.close();
      const { bavail, bsize } = statfsSync(dir);
      // There is room for the log of the new store, and not for its file.
      writeFileSync(join(dir, 'filling'), Buffer.alloc(bavail * bsize - statSync(path).size * 1.5));
      writeFileSync(`${path}.doubted`, '');
      assert.throws(() => recover(path, 'damage: malformed'), /make room on its volume$/);
      rmSync(join(dir, 'filling'));
      const spool = new Spool(dir, undefined, 'late', { isStart: true });
      assert.deepEqual(spool.list(), ids.toSorted());
      for (const id of ids) assert.equal((await readBody(spool, id)).length, 20_000);
      await spool.close();
    } finally {
      execFileSync('umount', ['--lazy', dir]);
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
