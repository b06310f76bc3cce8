/**
 * Power cuts. kill -9 keeps what was never synced, so the disk itself is rebuilt: a life of the relay is recorded, and at
 * places in it the state folder is put together as a disk could have it then; a relay that starts there owes every message
 * that was acknowledged. The proof of the proof: where one kind of sync does nothing, this is seen. A few cuts and three
 * kinds by `make test`; by `make soak` a cut at every sync, a thousand with other luck, and every kind.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type SyncSite, shimProblem } from '#test/kit/diskshim.ts';
import { type Luck, randomFrom } from '#test/kit/powercut.ts';
import { broken, type Life, record } from './life.ts';

const SOAK = process.env['MAILRELAY_SOAK'] !== undefined;
const CUTS = SOAK ? 1_000 : 6;
const SMALL = 2_000;
/** Large enough that SQLite copies its log into the tables, and begins it anew, while mail comes. */
const LONG = { waves: 40, bytes: 120_000 };
const seed = Number(process.env['MAILRELAY_SEED'] ?? Date.now() % 2 ** 31);

const NOTHING: Luck = { writes: 'none', names: 'none', seed: 0 };
const ONLY_NAMES: Luck = { writes: 'none', names: 'all', seed: 0 };
const ONLY_WRITES: Luck = { writes: 'all', names: 'none', seed: 0 };

interface Site extends SyncSite {
  readonly protects: string;
  readonly luck: Luck;
  readonly always?: boolean;
}

/** Each kind of sync that mail depends on, and the bad luck that shows it. */
const SITES: readonly Site[] = [
  {
    by: 'listener',
    name: 'queue.db-wal',
    thread: 'pool',
    protects: 'the envelope before its 250',
    luck: NOTHING,
    always: true,
  },
  {
    by: 'listener',
    name: 'bodies/*',
    thread: 'pool',
    protects: 'a large body',
    luck: ONLY_NAMES,
    always: true,
  },
  {
    by: 'listener',
    name: 'bodies',
    thread: 'pool',
    protects: 'the name of a large body',
    luck: ONLY_WRITES,
    always: true,
  },
];

async function cut(life: Life, at: number, luck: Luck): Promise<void> {
  const what = `after ${at} with ${luck.writes} of the writes and ${luck.names} of the names, seed ${luck.seed}`;
  assert.deepEqual(await broken(life, at, luck), [], `the power was cut ${what}`);
}

/** The first cut that shows it, where there is one. */
async function firstBroken(life: Life, luck: Luck): Promise<readonly string[]> {
  const places = new Set(life.promises.map(({ madeAt }) => madeAt));
  for (const at of places) {
    const lost = await broken(life, at, luck);
    if (lost.length > 0) return lost;
  }
  return [];
}

describe('a power cut', { concurrency: false, skip: shimProblem() }, () => {
  test(`at ${CUTS} places of a life loses nothing that was acknowledged`, async (context) => {
    context.diagnostic(`seed ${seed} (MAILRELAY_SEED)`);
    const random = randomFrom(seed);
    const life = SOAK ? await record(LONG.waves, LONG.bytes) : await record(2, SMALL);
    try {
      for (let count = 0; count < CUTS; count++) {
        const { end } = life.calls[Math.floor(random() * life.calls.length)] ?? { end: 0 };
        await cut(life, end, { writes: 'mixed', names: 'mixed', seed: Math.floor(random() * 2 ** 31) });
      }
    } finally {
      life.remove();
    }
  });

  test('at every sync loses nothing that was acknowledged', { skip: !SOAK }, async () => {
    const life = await record(2, SMALL);
    try {
      for (const { call, end } of life.calls)
        if (call === 'synced')
          for (const luck of [NOTHING, ONLY_NAMES, ONLY_WRITES]) await cut(life, end, luck);
    } finally {
      life.remove();
    }
  });

  for (const { protects, luck, always, ...site } of SITES) {
    test(`is seen to take ${protects} where the ${site.by} does not sync ${site.name}`, {
      skip: !(SOAK || always),
    }, async () => {
      const life = await record(1, SMALL, site);
      try {
        assert.notDeepEqual(await firstBroken(life, luck), []);
      } finally {
        life.remove();
      }
    });
  }
});
