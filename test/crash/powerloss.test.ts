/**
 * Power cuts. kill -9 keeps what was never synced, so the disk itself is rebuilt: a life of the relay is recorded, and at
 * places in it the state folder is put together as a disk could have it then; a relay that starts there owes every message
 * that was acknowledged. The proof of the proof: where one kind of sync does nothing, this is seen. A few cuts and three
 * kinds by `make test`; by `make soak` a cut at every sync, hundreds with other luck, also in a long life, and every
 * kind.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Fault, type SyncSite, shimProblem } from '#test/kit/diskshim.ts';
import type { Luck } from '#test/kit/powercut.ts';
import { seed } from '#test/kit/seed.ts';
import { random, SOAK } from './faults.ts';
import { HandoverBench } from './handoverbench.ts';
import { broken, type Life, record } from './life.ts';

const SOME = 4;
const SHORT = { waves: 2, bytes: 2_000 };
/** Large enough that SQLite copies its log into the tables, and begins it anew, while mail comes. */
const LONG = { waves: 40, bytes: 120_000 };
const LIVES = SOAK
  ? [
      { kind: 'short', course: SHORT, cuts: 400 },
      { kind: 'long', course: LONG, cuts: 100 },
    ]
  : [{ kind: 'short', course: SHORT, cuts: SOME }];

const NOTHING: Luck = { writes: 'none', names: 'none', seed: 0 };
const ONLY_NAMES: Luck = { writes: 'none', names: 'all', seed: 0 };
const ONLY_WRITES: Luck = { writes: 'all', names: 'none', seed: 0 };

interface Site extends SyncSite {
  readonly protects: string;
  readonly luck: Luck;
  readonly always?: boolean;
}

/**
 * Each kind of sync that mail depends on, and the bad luck that shows it. Not that of a new store: without it the log alone
 * gives all mail back (recovery.ts).
 */
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
  {
    by: 'router',
    name: 'queue.db-wal',
    thread: 'pool',
    protects: 'a report before the body that it is about goes',
    luck: ONLY_NAMES,
  },
  {
    by: 'router',
    name: 'queue.db',
    thread: 'main',
    protects: 'the tables before the log goes',
    luck: ONLY_NAMES,
  },
  {
    by: 'receiver',
    name: 'queue.db-wal',
    thread: 'pool',
    protects: 'an entry before the other pod forgets it',
    luck: NOTHING,
  },
  { by: 'receiver', name: 'bodies/*', thread: 'pool', protects: 'a large body', luck: ONLY_NAMES },
  { by: 'receiver', name: 'bodies', thread: 'pool', protects: 'the name of a large body', luck: ONLY_WRITES },
];

/** A part of the soak takes an hour: it tells how far it is. */
function tell(part: string, done: number, all: number): void {
  if (SOAK && done % 50 === 0) process.stderr.write(`powerloss: ${part}: ${done} of ${all}\n`);
}

async function cut(life: Life, at: number, luck: Luck): Promise<void> {
  const what = `after ${at} with ${luck.writes} of the writes and ${luck.names} of the names, seed ${luck.seed}`;
  assert.deepEqual(await broken(life, at, luck), [], `the power was cut ${what}`);
}

/** Of the receiving end that a queue was handed over to it, of others all kinds of mail. */
async function lived(ignored: SyncSite): Promise<Life> {
  if (ignored.by !== 'receiver') return record({ waves: 1, bytes: SHORT.bytes, ignored });
  const bench = await HandoverBench.start(true, ignored);
  try {
    return { ...(await bench.handOver()), remove: () => undefined };
  } finally {
    await bench.stop();
  }
}

/** Where a cut would show it: behind each promise, and where a name has just gone. */
function placesOf({ calls, promises }: Life): number[] {
  const gone = calls.filter(({ call }) => call === 'unlink').map(({ end }) => end);
  return [...new Set([...promises.map(({ madeAt }) => madeAt), ...gone])].toSorted(
    (one, other) => one - other,
  );
}

/** What the first cut that shows anything shows. */
async function firstBroken(life: Life, luck: Luck, places = placesOf(life)): Promise<readonly string[]> {
  for (const [index, at] of places.entries()) {
    tell('cuts behind promises', index, places.length);
    const lost = await broken(life, at, luck);
    if (lost.length > 0) return lost;
  }
  return [];
}

/** All of them by `make soak`. */
function some(places: readonly number[]): number[] {
  return places.filter((_, index) => SOAK || index % Math.ceil(places.length / SOME) === 1);
}

/** Two side by side: each has relays of its own, and waits for them half of its time. */
describe('a power cut', { concurrency: 2, skip: shimProblem() }, () => {
  for (const { kind, course, cuts } of LIVES) {
    test(`at ${cuts} places of a ${kind} life loses nothing that was acknowledged`, async (context) => {
      context.diagnostic(`seed ${seed} (MAILRELAY_SEED)`);
      const life = await record(course);
      try {
        for (let count = 0; count < cuts; count++) {
          tell(`cuts in a ${kind} life`, count, cuts);
          const { end } = life.calls[Math.floor(random() * life.calls.length)] ?? { end: 0 };
          const luck = { writes: 'mixed', names: 'mixed', seed: Math.floor(random() * 2 ** 31) } as const;
          await cut(life, end, luck);
        }
      } finally {
        life.remove();
      }
    });
  }

  test('at every sync loses nothing that was acknowledged', { skip: !SOAK }, async () => {
    const life = await record(SHORT);
    try {
      const syncs = life.calls.filter(({ call }) => call === 'synced');
      for (const [index, { end }] of syncs.entries()) {
        tell('cuts at syncs', index, syncs.length);
        for (const luck of [NOTHING, ONLY_NAMES, ONLY_WRITES]) await cut(life, end, luck);
      }
    } finally {
      life.remove();
    }
  });

  test('after a hand-over takes nothing of it from the pod that stays', async () => {
    const life = await lived({ by: 'receiver', name: 'no such file', thread: 'any' });
    for (const luck of [NOTHING, ONLY_NAMES, ONLY_WRITES])
      assert.deepEqual(await firstBroken(life, luck, some(placesOf(life))), []);
  });

  for (const by of ['listener', 'router'] as const) {
    test(`after a sync of the ${by} that failed takes nothing that was acknowledged later`, async () => {
      const fault: Fault = {
        harm: { kind: 'fail', error: 'EIO' },
        by,
        at: 2,
        calls: ['sync'],
        name: 'queue.db-wal*',
      };
      const life = await record({ ...SHORT, fault });
      try {
        assert.match(life.fired ?? '', new RegExp(`^${by}: sync queue\\.db-wal`));
        assert.deepEqual(await firstBroken(life, NOTHING, some(placesOf(life))), []);
      } finally {
        life.remove();
      }
    });
  }

  for (const { protects, luck, always, ...site } of SITES) {
    test(`is seen to take ${protects} where the ${site.by} does not sync ${site.name}`, {
      skip: !(SOAK || always),
    }, async () => {
      const life = await lived(site);
      try {
        assert.notDeepEqual(await firstBroken(life, luck), []);
      } finally {
        life.remove();
      }
    });
  }
});
