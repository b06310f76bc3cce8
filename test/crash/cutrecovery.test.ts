/**
 * Kills and power cuts while a start recovers a store of which a part is damaged. What lies behind the damaged part of a log
 * may have been acknowledged: the start that comes after finds all that this one would have found. Some cuts by `make test`,
 * one at each call by `make soak`.
 */
import assert from 'node:assert/strict';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Spool } from '#relay/spool/spool.ts';
import { type DiskCall, readCalls } from '#test/kit/diskrecord.ts';
import { DiskShim, shimProblem } from '#test/kit/diskshim.ts';
import { type Luck, rebuild } from '#test/kit/powercut.ts';
import { enter, folder } from '#test/kit/spoolrig.ts';
import { storeWriter } from '#test/kit/storewriter.ts';
import { SOAK } from './faults.ts';

const [HEADER_BYTES, FRAME_BYTES, PAGE_BYTES] = [32, 4_120, 4_096];
const MESSAGES = 12;
/** The first one is a kill. */
const LUCKS: readonly Luck[] = [
  { writes: 'all', names: 'all', seed: 0 },
  { writes: 'none', names: 'all', seed: 0 },
  { writes: 'all', names: 'none', seed: 0 },
  ...Array.from({ length: SOAK ? 12 : 3 }, (_, seed) => ({ writes: 'mixed', names: 'mixed', seed }) as const),
];
const EVERY = SOAK ? 1 : 8;

function overwrite(path: string, at: number, bytes: number): void {
  const content = readFileSync(path);
  content.fill(7, at, at + bytes);
  writeFileSync(path, content);
}

/** The folder of a relay that was killed. Half of its mail is in the tables, and half in the log. */
async function leave(stateDir: string): Promise<readonly string[]> {
  const living = folder();
  const ids: string[] = [];
  for (const last of [MESSAGES / 2, MESSAGES]) {
    const spool = new Spool(living, undefined, 'late');
    while (ids.length < last) ids.push(await enter(spool, Buffer.alloc(6_500, String(ids.length))));
    if (last === MESSAGES)
      for (const name of ['queue.db', 'queue.db-wal']) cpSync(join(living, name), join(stateDir, name));
    await spool.close();
  }
  return ids;
}

/** As if the record had the making of these files too, and the disk all of them. */
function onDisk(stateDir: string): DiskCall[] {
  const known = { by: 'listener', pid: 0, isMainThread: true, created: true, error: 0, index: 0 } as const;
  const call = { ...known, length: undefined, begun: -1, other: '', offset: 0, at: -2, end: 0 };
  const made = readdirSync(stateDir).flatMap((name) => {
    const inode = statSync(join(stateDir, name), { bigint: true }).ino;
    const one = { ...call, name, inode, data: readFileSync(join(stateDir, name)) };
    return [
      { ...one, call: 'open' },
      { ...one, call: 'write' },
      { ...one, call: 'synced', at: -1 },
    ] as const;
  });
  return [...made, { ...call, name: '.', inode: 0n, data: Buffer.alloc(0), at: -1, call: 'synced' }];
}

async function foundAfter(calls: readonly DiskCall[], luck: Luck, ids: readonly string[]): Promise<string[]> {
  const left = folder();
  rebuild(calls, luck, left);
  const spool = new Spool(left, undefined, 'late', { isStart: true });
  const found = ids.filter((id) => spool.load(id).kind === 'message');
  const { depth, damaged } = spool;
  await spool.close();
  rmSync(left, { recursive: true });
  return [...found, `${depth} in all, ${damaged} set aside`];
}

/** All that a start does with what `harm` leaves. */
async function recordStart(
  harm: (path: string) => void,
): Promise<{ ids: readonly string[]; before: DiskCall[]; calls: readonly DiskCall[] }> {
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-cut-'));
  const shim = new DiskShim(dir);
  try {
    shim.recordBytes(true);
    mkdirSync(shim.stateDir);
    const ids = await leave(shim.stateDir);
    harm(join(shim.stateDir, 'queue.db'));
    const before = onDisk(shim.stateDir);
    const started = storeWriter(shim, 'listener', 'starts');
    assert.equal(await started.end(), 0);
    return { ids, before, calls: readCalls(shim.recorded()) };
  } finally {
    shim.remove();
    rmSync(dir, { recursive: true, force: true });
  }
}

const harmLog = (path: string) => overwrite(`${path}-wal`, HEADER_BYTES + 16 * FRAME_BYTES + 2_000, 1);

for (const [name, harm, kept] of [
  ['a part of the log', harmLog, MESSAGES],
  [
    'a part of the log and one of the tables',
    (path: string) => {
      harmLog(path);
      // It has a body.
      overwrite(path, 18 * PAGE_BYTES, PAGE_BYTES);
    },
    MESSAGES - 1,
  ],
] as const)
  test(`a start that is cut while it recovers ${name} takes nothing from the next one`, {
    skip: shimProblem() ?? false,
  }, async () => {
    const { ids, before, calls } = await recordStart(harm);
    const [uncut = LUCKS[0]] = LUCKS;
    assert.ok(uncut);
    const expected = await foundAfter(before, uncut, ids);
    assert.equal(expected.length, kept + 1, expected.join());
    for (let count = 1; count <= calls.length; count += EVERY)
      for (const luck of LUCKS) {
        const { call = '', name: file = '' } = calls[count - 1] ?? {};
        assert.deepEqual(
          await foundAfter([...before, ...calls.slice(0, count)], luck, ids),
          expected,
          `cut after call ${count}, ${call} ${file}, with ${luck.writes} writes, ${luck.names} names, seed ${luck.seed}`,
        );
      }
  });
