import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { Pace, Paces } from './paces.ts';

const A = { key: 'a', name: 'a' };
const pauses = fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 100 });

test('no minute has more deliveries than it may, and none waits longer than it must', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10 }), pauses, (perMinute, waits) => {
      const paces = new Paces();
      const begun: number[] = [];
      let now = 0;
      for (const pause of waits) {
        now += pause;
        const at = paces.allowsAt(A, perMinute, now);
        const inLastMinute = begun.filter((time) => time > now - 60_000).length;
        assert.equal(at === now, inLastMinute < perMinute);
        paces.began({ key: 'other', name: 'other' }, 1, now);
        if (at > now) continue;
        paces.began(A, perMinute, now);
        begun.push(now);
      }
    }),
  );
});

test('a pace holds windows of several lengths at once, also when one of them becomes narrower or wider', () => {
  const most = fc.integer({ min: 1, max: 20 });
  fc.assert(
    fc.property(
      fc.array(fc.record({ pause: fc.integer({ min: 0, max: 500 }), most, mostLong: most })),
      (steps) => {
        const pace = new Pace();
        const begun: number[] = [];
        let now = 0;
        for (const { pause, most: short, mostLong } of steps) {
          now += pause;
          const rates = [
            { most: short, windowMs: 1_000 },
            { most: mostLong, windowMs: 5_000 },
          ];
          const isAllowed = rates.every(
            ({ most, windowMs }) => begun.filter((time) => time > now - windowMs).length < most,
          );
          const at = Math.max(...rates.map((rate) => pace.allowsAt(rate, now)));
          assert.equal(at === now, isAllowed);
          if (!isAllowed) continue;
          pace.began(20, now);
          begun.push(now);
        }
      },
    ),
  );
});
