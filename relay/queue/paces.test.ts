import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Paces } from './paces.ts';

test('no minute has more deliveries than it may, and none waits longer than it must', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10 }),
      fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 100 }),
      (perMinute, pauses) => {
        const paces = new Paces();
        const begun: number[] = [];
        let now = 0;
        for (const pause of pauses) {
          now += pause;
          const at = paces.allowsAt('a', perMinute, now);
          const inLastMinute = begun.filter((time) => time > now - 60_000).length;
          assert.equal(at === now, inLastMinute < perMinute);
          paces.began('other', 1, now);
          if (at > now) continue;
          paces.began('a', perMinute, now);
          begun.push(now);
        }
      },
    ),
  );
});
