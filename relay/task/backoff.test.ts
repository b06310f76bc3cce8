import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff, Patience } from './backoff.ts';

test('Backoff waits longer with each death, ten seconds at most, and begins anew after a good life', () => {
  const backoff = new Backoff();
  const waits = Array.from({ length: 9 }, () => backoff.afterDeath(0));
  assert.deepEqual(waits, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  assert.deepEqual([backoff.afterDeath(60_000), backoff.afterDeath(59_999)], [100, 200]);
});

test('each successor of a silent process may be silent twice as long, and a good life ends that', () => {
  const patience = new Patience();
  const times = Array.from({ length: 6 }, () => {
    patience.afterSilence(0);
    return patience.timesAfter(0);
  });
  assert.deepEqual(times, [2, 4, 8, 16, 20, 20]);
  assert.deepEqual([patience.timesAfter(59_999), patience.timesAfter(60_000)], [20, 1]);
  patience.afterSilence(60_000);
  assert.equal(patience.timesAfter(0), 2);
});
