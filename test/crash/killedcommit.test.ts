/**
 * A process that is killed when its transaction is whole in the log, and the index of the log does not say so yet. For those
 * that live on it never was in force. So what they took out of the queue since must not come back with it.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { newQueueId } from '#relay/spool/record.ts';
import { Spool } from '#relay/spool/spool.ts';
import { readCalls } from '#test/kit/diskrecord.ts';
import { DiskShim, shimProblem } from '#test/kit/diskshim.ts';
import { enter, envelope, folder } from '#test/kit/spoolrig.ts';
import { storeWriter } from '#test/kit/storewriter.ts';

const FREED = 120_000;

interface Life {
  readonly dir: string;
  readonly shim: DiskShim;
  readonly spool: Spool;
  readonly ids: readonly string[];
}

/** Mail on pages behind free ones, so a large message comes before it in the log. */
async function live(): Promise<Life> {
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-killed-'));
  const shim = new DiskShim(dir);
  shim.recordBytes(true);
  mkdirSync(shim.stateDir);
  const spool = new Spool(shim.stateDir, undefined, 'late');
  const large = await enter(spool, Buffer.alloc(FREED));
  const ids: string[] = [];
  while (ids.length < 60) ids.push(await enter(spool, Buffer.alloc(1_500, String(ids.length))));
  await deliver(spool, large);
  return { dir, shim, spool, ids };
}

function deliver(spool: Spool, id: string): Promise<void> {
  return spool.settle(id, { ...envelope, recipients: [], bytes: 0, crc: 0, body: 'store' });
}

/** A large message of another process: how often that writes into the log, or what it says when it is killed behind the last. */
async function enterBeside({ shim }: Life, killedAt?: number): Promise<{ writes: number; answer: string }> {
  const writer = storeWriter(shim, 'listener');
  assert.equal(await writer.enter(newQueueId(Date.now())), 'entered');
  const from = shim.now;
  if (killedAt !== undefined)
    shim.arm({
      harm: { kind: 'kill after', whole: false },
      by: 'listener',
      at: killedAt,
      calls: ['write'],
      name: 'queue.db-wal',
    });
  const answer = await writer.enter(`${newQueueId(Date.now())} ${FREED - 10_000}`);
  const calls = readCalls(shim.recorded(from));
  await writer.end();
  return { answer, writes: calls.filter(({ call }) => call === 'write').length };
}

test('mail that was delivered after a kill at the end of a commit does not come back', {
  skip: shimProblem() ?? false,
}, async () => {
  const lives = [await live(), await live()] as const;
  try {
    const { writes } = await enterBeside(lives[0]);
    const { shim, spool, ids } = lives[1];
    const { answer } = await enterBeside(lives[1], writes);
    assert.equal(answer, 'null');
    const depth = spool.depth;
    assert.equal(depth, ids.length + 1);
    const gone = ids.at(-1) ?? '';
    await deliver(spool, gone);
    // The one that takes its place.
    const next = new Spool(shim.stateDir, undefined, 'late');
    const left = folder();
    cpSync(shim.stateDir, left, { recursive: true, filter: (name) => !/\.lock$|-shm$/.test(name) });
    const again = new Spool(left, undefined, 'late', { isStart: true });
    assert.ok(!again.list().includes(gone), 'it came back');
    assert.deepEqual([again.depth, again.damaged], [depth - 1, 0]);
    for (const each of [again, next]) await each.close();
  } finally {
    for (const { dir, shim, spool } of lives) {
      await spool.close();
      shim.remove();
      rmSync(dir, { recursive: true, force: true });
    }
  }
});
