import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from '#test/kit/property.ts';
import { LoginThrottle, type Outcome } from './throttle.ts';

function throttle() {
  const clock = { now: 0 };
  const one = new LoginThrottle(() => clock.now);
  /** One attempt after the other. Returns the delay, or undefined for a client that is not heard. */
  const attempt = async (client: string, user: string, outcome: Outcome) => {
    const begun = await one.begin(client, user);
    const delayMs = begun?.delayMs();
    begun?.ended(outcome);
    return delayMs;
  };
  return { clock, one, attempt };
}

test('each failure makes the next answer slower, for its client and for its user, up to a bound', async () => {
  const { attempt } = throttle();
  const delays: (number | undefined)[] = [];
  for (let n = 0; n < 7; n++) delays.push(await attempt('a', 'bob', 'wrong'));
  assert.deepEqual(delays, [0, 500, 1000, 2000, 4000, 8000, 10_000]);
  assert.equal(await attempt('a', 'eve', 'unavailable'), 10_000);
  assert.equal(await attempt('b', 'bob', 'unavailable'), 10_000);
  assert.equal(await attempt('b', 'eve', 'unavailable'), 0);
});

test('a client that fails on and on is not heard, until it was quiet for a while', async () => {
  const { clock, attempt } = throttle();
  for (let n = 0; n < 20; n++) assert.notEqual(await attempt('a', `user${n}`, 'wrong'), undefined);
  assert.equal(await attempt('a', 'x', 'right'), undefined);
  assert.equal(await attempt('b', 'x', 'right'), 0);
  clock.now += 10 * 60_000;
  assert.equal(await attempt('a', 'x', 'right'), 0);
});

test('a login clears what was counted; failures without a user name slow nobody else', async () => {
  const { attempt } = throttle();
  await attempt('a', '', 'wrong');
  assert.equal(await attempt('b', '', 'right'), 0);
  assert.equal(await attempt('a', '', 'right'), 500);
  assert.equal(await attempt('a', '', 'right'), 0);
});

/** Begins so many attempts at once. */
function beginMany(one: LoginThrottle, count: number, user: (n: number) => string) {
  const begun: NonNullable<Awaited<ReturnType<LoginThrottle['begin']>>>[] = [];
  const refused: number[] = [];
  for (let n = 0; n < count; n++)
    void one.begin('a', user(n)).then((attempt) => (attempt ? begun.push(attempt) : refused.push(n)));
  return { begun, refused };
}

test('however many attempts a client begins at once, no more than twenty are checked if they fail', async () => {
  const { one } = throttle();
  const { begun, refused } = beginMany(one, 150, (n) => `user${n}`);
  await setImmediate();
  assert.deepEqual([begun.length, refused.length], [20, 0]);
  for (const attempt of begun) attempt.ended('wrong');
  await setImmediate();
  assert.deepEqual([begun.length, refused.length], [20, 130]);
});

test('many good logins of a client at once wait for no delay, also after a failure when the first has succeeded', async () => {
  for (const isAfterFailure of [false, true]) {
    const { one, attempt } = throttle();
    if (isAfterFailure) await attempt('a', 'app', 'wrong');
    const { begun, refused } = beginMany(one, 50, () => 'app');
    await setImmediate();
    assert.deepEqual(
      begun.slice(0, 4).map(({ delayMs }) => delayMs()),
      isAfterFailure ? [500, 1000, 2000, 4000] : [0, 0, 0, 0],
    );
    for (let ended = 0; ended < 50; ended++) {
      begun[ended]?.ended('right');
      await setImmediate();
      assert.ok(begun.slice(ended + 1).every(({ delayMs }) => delayMs() === 0));
    }
    assert.deepEqual([begun.length, refused.length], [50, 0]);
  }
});

test('an attempt that nobody could judge gives its place to the next', async () => {
  const { one } = throttle();
  const { begun } = beginMany(one, 25, () => '');
  await setImmediate();
  assert.equal(begun.length, 20);
  for (const attempt of begun.splice(0)) attempt.ended('unavailable');
  await setImmediate();
  assert.equal(begun.length, 5);
});

test('in whatever order attempts begin and end, those that failed and those under way are twenty at most', async () => {
  const step = fc.constantFrom('begin' as const, 'begin' as const, 'wrong' as const, 'right' as const);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
      const { one } = throttle();
      const open: NonNullable<Awaited<ReturnType<LoginThrottle['begin']>>>[] = [];
      let failed = 0;
      for (const next of steps) {
        if (next === 'begin') void one.begin('a', 'x').then((attempt) => attempt && open.push(attempt));
        else if (open.length > 0) {
          open.shift()?.ended(next);
          failed = next === 'right' ? 0 : failed + 1;
        }
        for (let turn = 0; turn < 5; turn++) await Promise.resolve();
        assert.ok(failed + open.length <= 20);
      }
    }),
    { numRuns: 100 },
  );
});
