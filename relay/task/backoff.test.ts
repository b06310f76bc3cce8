import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff } from './backoff.ts';

test('Backoff waits longer with each death, ten seconds at most, and begins anew after a good life', () => {
  const backoff = new Backoff();
  const waits = Array.from({ length: 9 }, () => backoff.afterDeath(0));
  assert.deepEqual(waits, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
  assert.deepEqual([backoff.afterDeath(60_000), backoff.afterDeath(59_999)], [100, 200]);
});
