import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { Wakeups } from './wakeups.ts';

test('each time rings once, when it has come, in order, with its key', async () => {
  const entry = fc.record({ key: fc.string({ maxLength: 2 }), at: fc.integer({ min: 1, max: 50 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 80 }), fc.nat(80), async (entries, more) => {
      let now = 0;
      const rung: { key: string; at: number }[] = [];
      const done = Promise.withResolvers<void>();
      // Some times are added while others ring.
      const [first, later] = [entries.slice(0, more), entries.slice(more)];
      const wakeups = new Wakeups(
        () => now,
        (key, at) => {
          rung.push({ key, at });
          const next = later.pop();
          if (next) wakeups.add(next.key, at + next.at);
          if (next) first.push({ key: next.key, at: at + next.at });
          if (rung.length === first.length) done.resolve();
        },
      );
      for (const { key, at } of first) wakeups.add(key, at);
      now = 10_000;
      wakeups.add('never', 20_000);
      if (first.length > 0) await done.promise;
      wakeups.stop();
      assert.deepEqual(
        rung.map(({ at }) => at),
        first.map(({ at }) => at).toSorted((a, b) => a - b),
      );
      const sorted = (all: typeof rung) => all.map(({ key, at }) => `${at} ${key}`).toSorted();
      assert.deepEqual(sorted(rung), sorted(first));
    }),
    { numRuns: 30 },
  );
});
