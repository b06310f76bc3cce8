import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoginThrottle } from './throttle.ts';

function throttle() {
  const clock = { now: 0 };
  return { clock, throttle: new LoginThrottle(() => clock.now) };
}

test('each failure makes the next answer slower, for its client and for its user, up to a bound', () => {
  const { throttle: one } = throttle();
  const delays: number[] = [];
  for (let n = 0; n < 7; n++) {
    delays.push(one.delayMs('a', 'bob'));
    one.failed('a', 'bob');
  }
  assert.deepEqual(delays, [0, 500, 1000, 2000, 4000, 8000, 10_000]);
  assert.equal(one.delayMs('a', 'eve'), 10_000);
  assert.equal(one.delayMs('b', 'bob'), 10_000);
  assert.equal(one.delayMs('b', 'eve'), 0);
});

test('a client that fails on and on is not heard, until it was quiet for a while', () => {
  const { clock, throttle: one } = throttle();
  for (let n = 0; n < 20; n++) {
    assert.equal(one.isDeaf('a'), false);
    one.failed('a', `user${n}`);
  }
  assert.equal(one.isDeaf('a'), true);
  assert.equal(one.isDeaf('b'), false);
  clock.now += 10 * 60_000;
  assert.equal(one.isDeaf('a'), false);
  assert.equal(one.delayMs('a', 'x'), 0);
});

test('a login clears what was counted; failures without a user name slow nobody else', () => {
  const { throttle: one } = throttle();
  one.failed('a', '');
  assert.equal(one.delayMs('b', ''), 0);
  assert.equal(one.delayMs('a', ''), 500);
  one.succeeded('a', '');
  assert.equal(one.delayMs('a', ''), 0);
});
