import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { timestamp } from './timestamp.ts';

const LAST_MS = 8_640_000_000_000_000;

test('every time is written as Date writes it, near the one before and far from it', () => {
  const far = fc.integer({ min: -LAST_MS, max: LAST_MS });
  const near = fc.array(fc.integer({ min: -2_000, max: 2_000 }), { maxLength: 10 });
  fc.assert(
    fc.property(far, near, (from, steps) => {
      for (const step of [0, ...steps]) {
        const ms = Math.max(-LAST_MS, Math.min(from + step, LAST_MS));
        assert.equal(timestamp(ms), new Date(ms).toISOString());
      }
    }),
  );
});

test('what is no time has no text', () => {
  for (const ms of [Number.NaN, Number.POSITIVE_INFINITY]) assert.throws(() => timestamp(ms), RangeError);
});
