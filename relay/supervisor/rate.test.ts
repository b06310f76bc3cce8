import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageRate } from './rate.ts';

test('MessageRate counts each client for itself, and anew every minute', () => {
  const rate = new MessageRate();
  assert.deepEqual([rate.count('a', 0), rate.count('a', 59_999), rate.count('b', 59_999)], [1, 2, 1]);
  assert.deepEqual([rate.count('a', 60_000), rate.count('b', 60_001)], [1, 1]);
});
