import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { destinationRetryMs, failuresWithin, loginRetryMs, messageRetryMs } from './schedule.ts';

const HALF = 0.5;

test('a message waits 1, 2, 5, 10, 20 minutes, then half an hour each time, whatever the jitter', () => {
  for (const random of [0, HALF, 0.999]) {
    const pauses: number[] = [];
    for (let age = 0; pauses.length < 8; age += messageRetryMs(age, random))
      pauses.push(messageRetryMs(age, HALF));
    assert.deepEqual(
      pauses.map((ms) => ms / 60_000),
      [1, 2, 5, 10, 20, 30, 30, 30],
    );
  }
});

test('a destination that was away for long is probed as late as one that was probed all the while', () => {
  assert.deepEqual([0, 999, 1_000, 3_000, 3_600_000].map(failuresWithin), [0, 0, 1, 2, 19]);
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
        for (const pause of [loginRetryMs, destinationRetryMs]) {
          assert.ok(pause(count + 1, HALF) >= pause(count, HALF));
          const ratio = pause(count, random) / pause(count, HALF);
          assert.ok(ratio > 0.799 && ratio < 1.201, `${ratio}`);
        }
      },
    ),
  );
});
