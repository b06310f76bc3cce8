import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Sleeper, Wakeups } from './wakeups.ts';

class Counted implements Sleeper {
  wakeAt = 0;
  place = -1;
}

test('whoever sleeps is woken once, when its time has come, in order; one that is forgotten is not', async () => {
  const change = fc.record({ who: fc.nat({ max: 19 }), at: fc.option(fc.integer({ min: 1, max: 50 })) });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 80 }), async (changes) => {
      let now = 0;
      const all = Array.from({ length: 20 }, () => new Counted());
      const wanted = new Map<Counted, number>();
      const woken: number[] = [];
      const done = Promise.withResolvers<void>();
      const wakeups = new Wakeups<Counted>(
        () => now,
        (sleeper) => {
          woken.push(sleeper.wakeAt);
          assert.equal(wanted.get(sleeper), sleeper.wakeAt);
          wanted.delete(sleeper);
          if (wanted.size === 0) done.resolve();
        },
      );
      for (const { who, at } of changes) {
        const sleeper = all[who] ?? new Counted();
        if (at === null) wakeups.forget(sleeper);
        else wakeups.set(sleeper, at);
        if (at === null) wanted.delete(sleeper);
        else wanted.set(sleeper, at);
      }
      const expected = [...wanted.values()].toSorted((a, b) => a - b);
      now = 100;
      wakeups.set(new Counted(), 200);
      if (wanted.size > 0) await done.promise;
      wakeups.stop();
      assert.deepEqual(woken, expected);
    }),
    { numRuns: 30 },
  );
});
