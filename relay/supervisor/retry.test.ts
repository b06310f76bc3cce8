import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Retry } from './retry.ts';

/** The pauses between one failure and the next try, in seconds. */
function listPauses(retry: Retry, clock: { now: number }, failures: number): number[] {
  return Array.from({ length: failures }, () => {
    const failedAt = clock.now;
    retry.failed();
    while (!retry.isDue()) clock.now += 1_000;
    return (clock.now - failedAt) / 1_000;
  });
}

test('what failed is tried again after pauses that grow to a minute, and another order begins anew', () => {
  const clock = { now: 5_000 };
  const retry = new Retry(() => clock.now);
  assert.equal(retry.isDue(), false, 'nothing has failed');
  assert.deepEqual(listPauses(retry, clock, 7), [2, 4, 8, 16, 32, 60, 60]);
  retry.forget();
  assert.equal(retry.isDue(), false);
  assert.deepEqual(listPauses(retry, clock, 2), [2, 4]);
});
