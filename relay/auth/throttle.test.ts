import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { type Attempt, LoginThrottle, type Outcome } from './throttle.ts';

function throttle() {
  const clock = { now: 0 };
  const one = new LoginThrottle(() => clock.now);
  /** One attempt after the other. Returns the delay, or undefined for one that may not begin. A token has no user. */
  const attempt = (client: string, user: string | undefined, outcome: Outcome) => {
    if (one.isDeaf(client) || (user !== undefined && !one.mayGuess(client, user))) return undefined;
    const begun = user === undefined ? one.beginToken(client) : one.beginGuess(client, user);
    begun.checked(outcome);
    const delayMs = begun.delayMs();
    begun.answered();
    return delayMs;
  };
  /** As many as may begin. */
  const beginMany = (client: string, user: string, most: number) => {
    const begun: Attempt[] = [];
    while (begun.length < most && one.mayGuess(client, user)) begun.push(one.beginGuess(client, user));
    return begun;
  };
  return { clock, one, attempt, beginMany };
}

test('each failure makes the next wrong answer slower, for its client and for its user, up to a bound', () => {
  const { attempt } = throttle();
  const delays = Array.from({ length: 7 }, () => attempt('a', 'bob', 'wrong'));
  assert.deepEqual(delays, [0, 500, 1000, 2000, 4000, 8000, 10_000]);
  assert.equal(attempt('a', 'eve', 'wrong'), 10_000);
  assert.equal(attempt('b', 'bob', 'wrong'), 10_000);
  assert.equal(attempt('c', 'joe', 'wrong'), 0);
});

test('a client that fails on and on is not heard, until it was quiet for a while', () => {
  const { clock, attempt } = throttle();
  for (let n = 0; n < 20; n++) assert.notEqual(attempt('a', `user${n}`, 'wrong'), undefined);
  assert.equal(attempt('a', 'x', 'right'), undefined);
  assert.equal(attempt('a', undefined, 'right'), undefined);
  assert.equal(attempt('b', 'x', 'right'), 0);
  clock.now += 10 * 60_000;
  assert.equal(attempt('a', 'x', 'right'), 0);
});

test('a login clears what was counted; failures of tokens slow nobody else', () => {
  const { attempt } = throttle();
  attempt('a', undefined, 'wrong');
  assert.equal(attempt('b', undefined, 'wrong'), 0);
  assert.equal(attempt('a', undefined, 'wrong'), 500);
  assert.equal(attempt('a', undefined, 'right'), 0);
  assert.equal(attempt('a', undefined, 'wrong'), 0);
});

test('who had the wrong password waits no more when a login of its client and user succeeds', () => {
  const { beginMany } = throttle();
  const wrong = beginMany('a', 'app', 4);
  for (const one of wrong) one.checked('wrong');
  const delays = () => wrong.map((one) => one.delayMs());
  assert.deepEqual(delays(), [0, 500, 1000, 2000]);
  beginMany('a', 'eve', 1)[0]?.checked('right');
  assert.deepEqual(delays(), [0, 500, 1000, 2000]);
  beginMany('a', 'app', 1)[0]?.checked('right');
  assert.deepEqual(delays(), [0, 0, 0, 0]);
});

test('wrong ones whose answer is held back keep no good login of another user from its check', () => {
  const { one, beginMany } = throttle();
  for (let round = 0; round < 5; round++) {
    for (const wrong of beginMany('a', `old${round}`, 19)) wrong.checked('wrong');
    assert.ok(one.mayGuess('a', 'good'));
    for (const good of beginMany('a', 'good', 1)) {
      good.checked('right');
      good.answered();
    }
  }
});

test('who knows one password guesses those of another user no faster', () => {
  const { beginMany } = throttle();
  const guess = (most: number) => {
    const begun = beginMany('a', 'bob', most);
    for (const wrong of begun) wrong.checked('wrong');
    return begun;
  };
  const first = guess(19);
  assert.equal(first[18]?.delayMs(), 10_000);
  beginMany('a', 'eve', 1)[0]?.checked('right');
  assert.equal(guess(19).length, 1, 'the first ones are not answered yet');
  beginMany('a', 'eve', 1)[0]?.checked('right');
  assert.equal(guess(19).length, 0);
  for (const one of first) one.answered();
  assert.equal(guess(19).length, 19);
});

test('tokens hold no place of a password', () => {
  const { one, beginMany } = throttle();
  for (let n = 0; n < 100; n++) one.beginToken('a');
  assert.equal(beginMany('a', 'x', 100).length, 20);
});

test('an attempt that nobody could judge gives its place to the next', () => {
  const { beginMany } = throttle();
  const first = beginMany('a', 'x', 100);
  assert.equal(first.length, 20);
  for (const attempt of first) {
    attempt.checked('unavailable');
    attempt.answered();
  }
  assert.equal(beginMany('a', 'x', 100).length, 20);
});

test('in whatever order attempts begin and end, those that failed and those under way are twenty at most', () => {
  const step = fc.constantFrom('begin', 'begin', 'wrong', 'right', 'unavailable', 'answered');
  const steps = fc.array(fc.tuple(step, fc.constantFrom('bob', 'eve')), { maxLength: 120 });
  fc.assert(
    fc.property(steps, (all) => {
      const { one } = throttle();
      const [open, held]: [Attempt[], Attempt[]] = [[], []];
      let failed = 0;
      for (const [next, user] of all) {
        if (next === 'begin') {
          if (!one.isDeaf('a') && one.mayGuess('a', user)) open.push(one.beginGuess('a', user));
        } else if (next === 'answered') held.shift()?.answered();
        else if (open.length > 0) {
          open[0]?.checked(next as Outcome);
          held.push(...open.splice(0, 1));
          if (next !== 'unavailable') failed = next === 'right' ? 0 : failed + 1;
        }
        assert.ok(failed + open.length <= 20);
      }
      // No place is lost.
      for (const attempt of open) attempt.checked('right');
      for (const attempt of [...open, ...held]) attempt.answered();
      one.beginToken('a').checked('right');
      for (let n = 0; n < 20; n++) {
        assert.ok(one.mayGuess('a', 'bob'));
        one.beginGuess('a', 'bob');
      }
      assert.ok(!one.mayGuess('a', 'bob'));
    }),
  );
});
