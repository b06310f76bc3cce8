/**
 * A process that opens the store after a failed sync hears nothing of it from Linux. Where the one that heard of it ended
 * before it told anybody, what the other acknowledges behind the lost frames must still be on disk.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Spool } from '#relay/spool/spool.ts';
import { readCalls } from '#test/kit/diskrecord.ts';
import { DiskShim, shimProblem } from '#test/kit/diskshim.ts';
import { rebuild } from '#test/kit/powercut.ts';
import { storeWriter } from '#test/kit/storewriter.ts';

const [BEFORE, LOST, AFTER] = ['1k8mubn7f1of0001', '1k8mubn7f1of0002', '1k8mubn7f1of0003'];

/** The ids of the messages that a start finds after a power cut now, with nothing that was not synced. */
async function leftAfterCut(shim: DiskShim, dir: string): Promise<readonly string[]> {
  const left = mkdtempSync(join(dir, 'cut-'));
  rebuild(readCalls(shim.recorded()), { writes: 'none', names: 'none', seed: 0 }, left);
  const spool = new Spool(left, undefined, 'early', { isStart: true });
  const ids = spool.list();
  await spool.close();
  return ids;
}

test('what a process acknowledges that opened the store after a failed sync survives a power cut', {
  skip: shimProblem() ?? false,
}, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-late-'));
  const shim = new DiskShim(dir);
  shim.recordBytes(true);
  mkdirSync(shim.stateDir);
  try {
    const router = storeWriter(shim, 'router', 'ends');
    assert.equal(await router.enter(BEFORE), 'entered');
    shim.arm({
      harm: { kind: 'fail', error: 'EIO' },
      by: 'router',
      at: 1,
      calls: ['sync'],
      name: 'queue.db-wal',
    });
    assert.equal(await router.enter(LOST), 'null');
    // The disk does not have it.
    assert.deepEqual(await leftAfterCut(shim, dir), [BEFORE]);
    const listener = storeWriter(shim, 'listener');
    assert.equal(await listener.enter(AFTER), 'entered');
    const left = await leftAfterCut(shim, dir);
    assert.ok(
      [BEFORE, AFTER].every((id) => left.includes(id)),
      left.join(),
    );
    assert.equal(await listener.end(), 0);
  } finally {
    shim.remove();
    rmSync(dir, { recursive: true, force: true });
  }
});
