/**
 * Reads of the store that fail. A read that fails for a moment costs nothing: no store is set aside, and no message, no
 * suppressed address goes. While the disk reads nothing at all, the relay takes no mail, and the queue is whole when the
 * disk is back.
 */
import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { describe, test } from 'node:test';
import { shimProblem } from '#test/kit/diskshim.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { preloadable } from '#test/kit/preloadable.ts';
import { tellAndEnd } from '#test/kit/printlog.ts';
import { listQueue } from '#test/kit/queuetools.ts';
import { TestRelay } from '#test/kit/relay.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { SOAK } from './faults.ts';

const { EIO, ENOMEM, EAGAIN } = constants.errno;
const IDS = ['one', 'two', 'three', 'four', 'five'];

interface Reads {
  readonly errno: number;
  /** How many reads of each process fail. Zero: all. */
  readonly times: number;
}

const FAILURES = [
  { name: 'three EIO', errno: EIO, times: 3, skip: false },
  { name: 'no memory', errno: ENOMEM, times: 1, skip: false },
  { name: 'one EIO', errno: EIO, times: 1, skip: !SOAK },
  { name: 'try again', errno: EAGAIN, times: 2, skip: !SOAK },
];

interface Story {
  readonly relay: TestRelay;
  readonly fails: () => void;
  readonly isWell: () => void;
}

async function story({ errno, times }: Reads, tell: (story: Story) => Promise<void>): Promise<void> {
  const { dir, library, flag } = preloadable('badread');
  const env = {
    LD_PRELOAD: library,
    READ_WHILE: flag,
    READ_ERRNO: String(errno),
    READ_TIMES: String(times),
  };
  const relay = await TestRelay.start({ env, manifest: ([port]) => storyManifest({ port, nextHop: 1 }) });
  try {
    await tellAndEnd(relay, async () => {
      for (const id of IDS) assert.match(await send(relay, id), /^250/);
      await until('the queue', async () => (await listQueue(relay)).length === IDS.length);
      await tell({ relay, fails: () => writeFileSync(flag, ''), isWell: () => rmSync(flag) });
    });
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** The reply to the message, or why it was not sent. */
async function send({ ports }: TestRelay, id: string): Promise<string> {
  const client = await SmtpClient.connect(ports[0] ?? 0);
  try {
    await client.hello();
    return await client.send('me@client.example', ['you@example.com'], messageText(id));
  } catch (error) {
    return (error as Error).message;
  } finally {
    client.close();
  }
}

async function isTaken(relay: TestRelay): Promise<void> {
  await until('mail to be taken', async () => (await send(relay, 'next')).startsWith('250'));
}

/** A new process has read nothing yet. */
function renewRouter(relay: TestRelay): void {
  process.kill(relay.findTask('router/main.ts'), 'SIGKILL');
}

function setAside({ stateDir }: TestRelay): string[] {
  return readdirSync(stateDir).filter((name) => name.includes('.damaged-'));
}

describe('reads of the store that fail', { concurrency: true, skip: shimProblem() ?? false }, () => {
  for (const { name, skip, ...reads } of FAILURES)
    test(`${name}: the queue stays, and no store is set aside`, { skip }, async () => {
      await story(reads, async ({ relay, fails }) => {
        fails();
        renewRouter(relay);
        await relay.waitForOutput(/"event":"spool_recovered"|"event":"task_died","died":"router"/);
        await until('the queue', async () => (await listQueue(relay)).length === IDS.length);
        assert.deepEqual(setAside(relay), []);
        assert.equal((await relay.status()).queue.held, 0);
        await isTaken(relay);
      });
    });

  test('a disk that reads nothing: mail is refused for now, and the queue is whole afterwards', async () => {
    await story({ errno: EIO, times: 0 }, async ({ relay, fails, isWell }) => {
      fails();
      renewRouter(relay);
      await relay.waitForOutput(/"event":"task_died","died":"router"/);
      await until('mail to be refused', async () => /\b45\d /.test(await send(relay, 'late')));
      isWell();
      await until('the queue', async () => (await listQueue(relay)).length >= IDS.length);
      assert.equal((await relay.status()).queue.held, 0);
      await isTaken(relay);
    });
  });
});
