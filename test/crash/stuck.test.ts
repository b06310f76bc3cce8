/**
 * Processes that are there and do nothing: stopped, or waiting for a disk that hangs. The relay is not ready and says
 * why, a new process takes the place of the old one, and mail flows on. A process that rebuilds a store is not taken for
 * one. And a process that was killed before it told which message it had made durable: the router finds the message.
 */
import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { newQueueId } from '#relay/spool/record.ts';
import { Spool } from '#relay/spool/spool.ts';
import { shimProblem } from '#test/kit/diskshim.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { freePort } from '#test/kit/ports.ts';
import { preloadable } from '#test/kit/preloadable.ts';
import { tellAndEnd } from '#test/kit/printlog.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { Sink } from '#test/kit/sink.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { SOAK } from './faults.ts';

/** Longer than it takes to be late, and lost. */
const LOST_MS = 60_000;

/** SQLite copies its log of some three hundred pages in one step. Nothing tells that this step goes on. */
const SLOW_DISKS = [
  {
    name: 'a store that takes longer to rebuild than a process may be silent',
    slowUs: 40_000,
    skip: false,
  },
  {
    name: 'a store, one step of which takes longer than a process may be silent: its successors get more time',
    slowUs: 110_000,
    skip: !SOAK && 'it takes minutes: make soak',
  },
];

interface Story {
  readonly relay: TestRelay;
  readonly sink: Sink;
}

async function story(env: Readonly<Record<string, string>>, tell: (story: Story) => Promise<void>) {
  const nextHop = await freePort();
  const sink = await Sink.start({ port: nextHop });
  const relay = await TestRelay.start({ env, manifest: ([port]) => storyManifest({ port, nextHop }) });
  try {
    await tellAndEnd(relay, () => tell({ relay, sink }));
  } finally {
    await sink.down();
  }
}

/** Processes of a kind that were started and have not ended, by their pids. */
function processesOf({ stderr }: TestRelay, task: string): number[] {
  const pids = (pattern: RegExp) => [...stderr.matchAll(pattern)].map(([, pid]) => Number(pid));
  const ended = pids(/"event":"task_died",[^\n]*"pid":(\d+)/g);
  return pids(new RegExp(`"event":"task_started","started":"${task}","pid":(\\d+)`, 'g')).filter(
    (pid) => !ended.includes(pid),
  );
}

async function notReady({ adminPort }: TestRelay): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${adminPort}/readyz`);
  return response.status === 200 ? '' : response.text();
}

async function deliver({ relay, sink }: Story, id: string): Promise<void> {
  const client = await SmtpClient.connect(relay.ports[0] ?? 0);
  await client.hello();
  assert.match(await client.send('me@client.example', ['you@example.com'], messageText(id)), /^250/);
  await client.quit();
  await until(`message ${id}`, () => sink.arrived.some((arrived) => arrived.id === id), 60_000);
}

/** Side by side: each has a relay of its own, and most of its time it waits for what a silent process has left. */
describe('processes that are stuck', { concurrency: true }, () => {
  test('a listener and a router that are stopped: not ready, then replaced', async () => {
    await story({}, async (parts) => {
      const { relay } = parts;
      await deliver(parts, 'before');
      for (const task of ['listener', 'router']) {
        const stopped = processesOf(relay, task);
        for (const pid of stopped) process.kill(pid, 'SIGSTOP');
        const why = `the ${task} process ${stopped[0]} gives no sign of life`;
        await until(`a ${task} to be missed`, async () => (await notReady(relay)).includes(why), LOST_MS);
        await until('the relay to be ready', async () => (await notReady(relay)) === '', LOST_MS);
        await until('the old one to go', () => !stopped.some((pid) => existsSync(`/proc/${pid}`)));
        await deliver(parts, `without the first ${task}`);
      }
    });
  });

  test('one that is stopped for a moment is not replaced', async () => {
    await story({}, async ({ relay }) => {
      const [router = 0] = processesOf(relay, 'router');
      process.kill(router, 'SIGSTOP');
      await until('the router to be missed', () => notReady(relay), LOST_MS);
      process.kill(router, 'SIGCONT');
      await until('the relay to be ready', async () => (await notReady(relay)) === '', LOST_MS);
      assert.deepEqual(processesOf(relay, 'router'), [router]);
    });
  });

  test('a disk that hangs under a listener whose loop turns', { skip: shimProblem() ?? false }, async () => {
    const { dir, library, flag } = preloadable('hungsync');
    await story({ LD_PRELOAD: library, HUNG_WHILE: flag }, async (parts) => {
      const { relay } = parts;
      await deliver(parts, 'before');
      const before = processesOf(relay, 'listener');
      writeFileSync(flag, '');
      const client = await SmtpClient.connect(relay.ports[0] ?? 0);
      await client.hello();
      client.write('MAIL FROM:<me@client.example>\r\nRCPT TO:<you@example.com>\r\nDATA\r\n');
      client.write(`${messageText('hung')}\r\n.\r\n`);
      const why = /the listener process \d+ waits for its disk, which does not answer/;
      await until('a listener to be missed', async () => why.test(await notReady(relay)), LOST_MS);
      await until('another listener', () => processesOf(relay, 'listener').length < before.length, LOST_MS);
      rmSync(flag);
      await until('the relay to be ready', async () => (await notReady(relay)) === '', LOST_MS);
      await deliver(parts, 'after');
      client.close();
    });
    rmSync(dir, { recursive: true });
  });

  for (const { name, slowUs, skip } of SLOW_DISKS)
    test(name, { skip: skip || (shimProblem() ?? false) }, async () => {
      const { dir, library, flag } = preloadable('badread');
      const env = { LD_PRELOAD: library, READ_WHILE: flag, READ_US: String(slowUs) };
      await story(env, async ({ relay, sink }) => {
        await sink.down();
        const client = await SmtpClient.connect(relay.ports[0] ?? 0);
        await client.hello();
        const filling = 'x'.repeat(70).concat('\r\n').repeat(800);
        const ids = Array.from({ length: 20 }, (_, index) => `kept-${index}`);
        for (const id of ids)
          assert.match(
            await client.send('me@client.example', ['you@example.com'], messageText(id) + filling),
            /^250/,
          );
        client.close();
        const began = performance.now();
        writeFileSync(flag, '');
        // It was looked through before, so the word is believed.
        writeFileSync(join(relay.stateDir, 'queue.db.doubted'), '');
        writeFileSync(join(relay.stateDir, 'queue.db.fault'), 'damage: a page was overwritten\n');
        const rebuilt = /"event":"spool_recovered"[^\n]*"kind":"rebuilt"[^\n]*"messages":20/;
        await until('the store to be rebuilt', () => rebuilt.test(relay.stdout + relay.stderr), 600_000);
        rmSync(flag);
        assert.ok(performance.now() - began > 20_000, 'a silent process would have been replaced before');
        const messages = async () => (await relay.status()).queue.depth;
        await until('all messages', async () => (await messages()) === ids.length, 60_000);
      });
      rmSync(dir, { recursive: true });
    });

  test('what a listener made durable and was killed before it told is delivered', async () => {
    await story({}, async (parts) => {
      const { relay, sink } = parts;
      await deliver(parts, 'told');
      const spool = new Spool(relay.stateDir);
      const id = newQueueId(Date.now());
      const body = spool.bodyWriter(id);
      await body.write(Buffer.from(messageText('untold')));
      const envelope = {
        receivedAt: Date.now(),
        from: 'me@client.example',
        recipients: [{ address: 'you@example.com', state: 'queued' as const }],
        eightBit: false,
        smtpUtf8: false,
      };
      await spool.enter(id, envelope, await body.seal());
      await spool.close();
      process.kill(processesOf(relay, 'listener')[0] ?? 0, 'SIGKILL');
      await until('the untold message', () => sink.arrived.some((arrived) => arrived.id === 'untold'));
    });
  });
});
