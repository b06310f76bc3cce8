import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { destinationRetryMs, messageRetryMs } from './schedule.ts';

const HALF = 0.5;

test('a message waits 1, 2, 5, 10, 20 minutes, then half an hour each time', () => {
  const minutes = [1, 2, 3, 4, 5, 6, 7, 100].map((attempts) => messageRetryMs(attempts, HALF) / 60_000);
  assert.deepEqual(minutes, [1, 2, 5, 10, 20, 30, 30, 30]);
});

test('a destination is probed after a second, and for five minutes at most half a minute apart', () => {
  const seconds = Array.from({ length: 14 }, (_, index) => destinationRetryMs(index + 1, HALF) / 1000);
  assert.deepEqual(seconds, [1, 2, 4, 8, 16, ...Array.from({ length: 9 }, () => 30)]);
  assert.ok(seconds.reduce((sum, pause) => sum + pause) >= 300);
  assert.equal(destinationRetryMs(1000, HALF), 15 * 60_000);
});

test('pauses never shrink, and jitter stays within a fifth', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (count, random) => {
        for (const pause of [messageRetryMs, destinationRetryMs]) {
          assert.ok(pause(count + 1, HALF) >= pause(count, HALF));
          const ratio = pause(count, random) / pause(count, HALF);
          assert.ok(ratio > 0.799 && ratio < 1.201, `${ratio}`);
        }
      },
    ),
  );
});
