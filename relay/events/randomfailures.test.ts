import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { newQueueId } from '../spool/record.ts';
import type { Posted } from './post.ts';
import { EventSender } from './sender.ts';

type Kind = Exclude<Posted['kind'], 'taken'>;

/** A receiver that gets two events in a second and fails as `fails` says, for hours that pass at once. */
function receive(fails: (body: string, random: () => number) => Kind | undefined) {
  const rows = new Map<string, string>();
  const counts = { sent: 0, dropped: 0, failed: 0 };
  const random = makeRandom(1);
  let now = 1_000_000;
  const sender = new EventSender({
    relay: { name: 'relay', namespace: 'mail' },
    outbox: {
      list: (atMost) =>
        rows
          .entries()
          .take(atMost)
          .map(([key, value]) => ({ key, value }))
          .toArray(),
      get size() {
        return rows.size;
      },
      forget: async (keys) => {
        for (const key of keys) rows.delete(key);
      },
      drop: async () => undefined,
      dropDamaged: async () => 0,
    },
    readKeys: () => [randomBytes(24)],
    post: async (body) => {
      const kind = fails(body.toString(), random);
      return kind ? { kind, reason: 'it failed' } : { kind: 'taken' };
    },
    log: () => undefined,
    count: (result, count) => {
      counts[result] += count;
    },
    clock: () => now,
    wall: () => now,
    random,
  });
  const put = (text: string) => rows.set(newQueueId(now), JSON.stringify({ text }));
  const pass = async (seconds: number) => {
    for (const end = now + seconds * 1_000; now < end; now += 1_000) {
      put('good');
      put('good');
      await sender.look();
    }
  };
  const holdsBad = () => rows.values().some((value) => value.includes('bad'));
  return { pass, put, holdsBad, counts, rows, close: () => sender.close() };
}

function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const HOUR = 3_600;

for (const kind of ['erred', 'failed', 'late'] as const)
  for (const share of [0.3, 0.5, 0.7, 0.9, 0.99])
    test(`a receiver that ${kind} at ${share * 100} % of the requests at random loses no event`, async () => {
      const hook = receive((_body, random) => (random() < share ? kind : undefined));
      await hook.pass(2 * HOUR);
      assert.equal(hook.counts.dropped, 0);
      assert.equal(hook.counts.sent + hook.rows.size, 4 * HOUR);
      if (kind === 'erred' && share <= 0.7) assert.ok(hook.rows.size < 1_000, `${hook.rows.size} wait`);
      await hook.close();
    });

for (const share of [0, 0.05, 0.2])
  test(`the event at which a receiver always breaks is found and dropped, while ${share * 100} % of the others fail`, async () => {
    const fails = (body: string, random: () => number) =>
      body.includes('bad') || random() < share ? 'erred' : undefined;
    const hook = receive(fails);
    await hook.pass(60);
    hook.put('bad');
    await hook.pass(10 * 60);
    assert.ok(hook.rows.size < 100, `${hook.rows.size} wait`);
    assert.equal(hook.holdsBad(), true);
    await hook.pass(2 * HOUR);
    assert.deepEqual([hook.holdsBad(), hook.counts.dropped], [false, 1]);
    await hook.close();
  });

test('answers that a proxy gives do not make batches smaller', async () => {
  let requests = 0;
  const hook = receive((_body, random) => {
    requests += 1;
    return random() < 0.7 ? 'failed' : undefined;
  });
  for (let count = 0; count < 2_000; count++) hook.put('good');
  await hook.pass(HOUR);
  assert.ok(hook.counts.sent / (requests - hook.counts.failed) > 30);
  assert.equal(hook.counts.dropped, 0);
  await hook.close();
});
