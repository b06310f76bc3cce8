/** The supervisor reads the queue while processes have it open, and is never what they wait for. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { eventually } from '#test/kit/wait.ts';
import { Spool } from '../spool/spool.ts';
import { StoreLock } from '../spool/storelock.ts';
import { peekQueue } from './peekqueue.ts';

/** An empty queue that no process has open, and the lock of a process that may open it. */
async function makeQueue(context: TestContext): Promise<{ stateDir: string; lock: StoreLock }> {
  const stateDir = mkdtempSync(join(tmpdir(), 'mailrelay-peek-'));
  await new Spool(stateDir).close();
  const lock = new StoreLock(join(stateDir, 'queue.db'));
  context.after(() => {
    lock.close();
    rmSync(stateDir, { recursive: true });
  });
  return { stateDir, lock };
}

/** What the log tells is added to `told`. */
function peek(stateDir: string, told: unknown[], look: (spool: Spool) => number): number | undefined {
  return peekQueue(stateDir, (_event, facts) => void told.push(facts?.['message']), look);
}

test('a queue that must be recovered just after it was read is not waited for, and is read later', async (context) => {
  const { stateDir, lock } = await makeQueue(context);
  const told: unknown[] = [];
  const readDepth = () => peek(stateDir, told, ({ depth }) => depth);
  assert.equal(readDepth(), 0);
  lock.post('io: disk I/O error');
  assert.equal(readDepth(), undefined);
  await eventually(() => readDepth() === 0);
  assert.deepEqual(told, []);
});

test('a read that fails leaves the queue open nowhere', async (context) => {
  const { stateDir, lock } = await makeQueue(context);
  const told: unknown[] = [];
  const fail = () => {
    throw new Error('a page cannot be read');
  };
  // The read of the test before may still be under way.
  await eventually(() => {
    peek(stateDir, told, fail);
    return told.length === 1;
  });
  await eventually(() => {
    lock.alone(1, () => told.push('alone'));
    return true;
  });
  assert.deepEqual(told, ['a page cannot be read', 'alone']);
});
