import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from '#test/kit/property.ts';
import { LoginThrottle, type Outcome } from './throttle.ts';

const OPEN = new AbortController().signal;

function throttle() {
  const clock = { now: 0 };
  const one = new LoginThrottle(() => clock.now);
  /** One attempt after the other. Returns the delay, or undefined for a client that is not heard. */
  const attempt = async (client: string, user: string | undefined, outcome: Outcome) => {
    const begun = await one.begin({ client, user, session: OPEN });
    begun?.checked(outcome);
    const delayMs = begun?.delayMs();
    if (outcome === 'wrong') begun?.answered();
    return delayMs;
  };
  return { clock, one, attempt };
}

test('each failure makes the next wrong answer slower, for its client and for its user, up to a bound', async () => {
  const { attempt } = throttle();
  const delays: (number | undefined)[] = [];
  for (let n = 0; n < 7; n++) delays.push(await attempt('a', 'bob', 'wrong'));
  assert.deepEqual(delays, [0, 500, 1000, 2000, 4000, 8000, 10_000]);
  assert.equal(await attempt('a', 'eve', 'wrong'), 10_000);
  assert.equal(await attempt('b', 'bob', 'wrong'), 10_000);
  assert.equal(await attempt('c', 'joe', 'wrong'), 0);
});

test('a client that fails on and on is not heard, until it was quiet for a while', async () => {
  const { clock, attempt } = throttle();
  for (let n = 0; n < 20; n++) assert.notEqual(await attempt('a', `user${n}`, 'wrong'), undefined);
  assert.equal(await attempt('a', 'x', 'right'), undefined);
  assert.equal(await attempt('b', 'x', 'right'), 0);
  clock.now += 10 * 60_000;
  assert.equal(await attempt('a', 'x', 'right'), 0);
});

test('a login clears what was counted; failures of tokens slow nobody else', async () => {
  const { attempt } = throttle();
  await attempt('a', undefined, 'wrong');
  assert.equal(await attempt('b', undefined, 'wrong'), 0);
  assert.equal(await attempt('a', undefined, 'wrong'), 500);
  assert.equal(await attempt('a', undefined, 'right'), 0);
  assert.equal(await attempt('a', undefined, 'wrong'), 0);
});

/** Begins so many attempts at once. */
function beginMany(
  one: LoginThrottle,
  count: number,
  user: (n: number) => string | undefined,
  session: AbortSignal = OPEN,
) {
  const begun: NonNullable<Awaited<ReturnType<LoginThrottle['begin']>>>[] = [];
  const refused: number[] = [];
  for (let n = 0; n < count; n++)
    void one
      .begin({ client: 'a', user: user(n), session })
      .then((attempt) => (attempt ? begun.push(attempt) : refused.push(n)));
  return { begun, refused };
}

test('however many attempts a client begins at once, no more than twenty are checked if they fail', async () => {
  const { one } = throttle();
  const { begun, refused } = beginMany(one, 150, (n) => `user${n}`);
  await setImmediate();
  assert.deepEqual([begun.length, refused.length], [20, 0]);
  for (const attempt of begun) attempt.checked('wrong');
  await setImmediate();
  assert.deepEqual([begun.length, refused.length], [20, 130]);
});

test('many good logins of a client at once all succeed, and those that were wrong before the first wait no more', async () => {
  const { one, attempt } = throttle();
  await attempt('a', 'app', 'wrong');
  const { begun, refused } = beginMany(one, 50, () => 'app');
  await setImmediate();
  for (const wrong of begun.slice(0, 4)) wrong.checked('wrong');
  const delays = () => begun.slice(0, 4).map(({ delayMs }) => delayMs());
  assert.deepEqual(delays(), [500, 1000, 2000, 4000]);
  for (let at = 4; at < 50; at++) {
    begun[at]?.checked('right');
    await setImmediate();
  }
  assert.deepEqual(delays(), [0, 0, 0, 0]);
  assert.deepEqual([begun.length, refused.length], [50, 0]);
});

test('old passwords of other users keep a place until they are answered, and the good ones share the rest', async () => {
  const { one } = throttle();
  const { begun, refused } = beginMany(one, 50, (n) => `user${n}`);
  await setImmediate();
  for (const wrong of begun.slice(0, 19)) wrong.checked('wrong');
  for (let at = 19; at < 50; at++) {
    assert.equal(begun.length, at + 1, 'one at a time');
    begun[at]?.checked('right');
    await setImmediate();
  }
  for (const wrong of begun.slice(0, 19)) wrong.answered();
  assert.deepEqual([begun.length, refused.length], [50, 0]);
  assert.equal(beginMany(one, 50, () => 'x').refused.length, 0);
});

test('who knows one password guesses those of others no faster', async () => {
  const { one } = throttle();
  const guess = async () => {
    const { begun } = beginMany(one, 19, () => 'bob');
    await setImmediate();
    for (const wrong of begun) wrong.checked('wrong');
    return begun;
  };
  const first = await guess();
  assert.equal(first.length, 19);
  assert.equal(first[18]?.delayMs(), 10_000);
  const own = beginMany(one, 1, () => 'eve');
  await setImmediate();
  own.begun[0]?.checked('right');
  assert.equal((await guess()).length, 1, 'the first ones are not answered yet');
});

test('tokens hold no place of a password, and wait for none', async () => {
  const { one } = throttle();
  const tokens = beginMany(one, 100, () => undefined);
  const passwords = beginMany(one, 25, (n) => `user${n}`);
  const more = beginMany(one, 10, () => undefined);
  await setImmediate();
  assert.deepEqual(
    [tokens, passwords, more].map(({ begun }) => begun.length),
    [100, 20, 10],
  );
});

test('an attempt that waits is dropped when its session ends', async () => {
  const { one } = throttle();
  const [stays, goes] = [new AbortController(), new AbortController()];
  const first = beginMany(one, 20, () => 'x', goes.signal);
  const gone = beginMany(one, 100, () => 'x', goes.signal);
  const next = beginMany(one, 5, () => 'x', stays.signal);
  await setImmediate();
  goes.abort();
  await setImmediate();
  assert.deepEqual([gone.begun.length, gone.refused.length, next.begun.length], [0, 100, 0]);
  for (const attempt of first.begun) attempt.checked('right');
  await setImmediate();
  assert.equal(next.begun.length, 5);
  assert.equal(beginMany(one, 1, () => 'x', goes.signal).begun.length, 0);
});

test('an attempt that nobody could judge gives its place to the next', async () => {
  const { one } = throttle();
  const { begun } = beginMany(one, 25, () => 'x');
  await setImmediate();
  assert.equal(begun.length, 20);
  for (const attempt of begun.splice(0)) attempt.checked('unavailable');
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
        if (next === 'begin')
          void one
            .begin({ client: 'a', user: 'x', session: OPEN })
            .then((attempt) => attempt && open.push(attempt));
        else if (open.length > 0) {
          open.shift()?.checked(next);
          failed = next === 'right' ? 0 : failed + 1;
        }
        for (let turn = 0; turn < 5; turn++) await Promise.resolve();
        assert.ok(failed + open.length <= 20);
      }
    }),
    { numRuns: 100 },
  );
});
