import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LastingFault } from './lastingfault.ts';

test('a fault that is over before the next looks is no reason to end, however often it comes', () => {
  let now = 0;
  const watch = new LastingFault(() => now);
  for (let round = 0; round < 100; round++) {
    assert.equal(watch.lasts('io: EIO'), false);
    now += 250;
    assert.equal(watch.lasts(undefined), false);
    now += 250;
  }
});

test('a fault that no process mends for five seconds is one', () => {
  let now = 1_000;
  const watch = new LastingFault(() => now);
  assert.equal(watch.lasts('io: EIO'), false);
  now += 4_999;
  assert.equal(watch.lasts('io: another'), false);
  now += 1;
  assert.equal(watch.lasts('io: another'), true);
});
