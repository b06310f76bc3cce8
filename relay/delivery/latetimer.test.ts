import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { LateTimer } from './latetimer.ts';

const MINUTE_MS = 60_000;

/** A timer whose clock the test moves, and what it told. */
function rig(context: TestContext) {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  // The sum of such a time and a wait is rounded.
  let now = 1_234.567891;
  const told: string[] = [];
  const timer = new LateTimer(
    (reason) => told.push(reason),
    () => now,
  );
  const pass = (ms: number) => {
    now += ms;
    context.mock.timers.tick(ms);
  };
  return { timer, told, pass };
}

test('the waits of many messages have one timer', (context) => {
  const { mock } = context.mock.method(globalThis, 'setTimeout');
  let now = 0;
  const timer = new LateTimer(
    () => assert.fail('nothing is late'),
    () => now,
  );
  for (; now < 100; now++) {
    for (const command of ['MAIL', 'RCPT', 'DATA']) timer.start(5 * MINUTE_MS, command);
    timer.start(7 * MINUTE_MS, 'body');
    timer.start(10 * MINUTE_MS, 'final reply');
    timer.stop();
  }
  timer.close();
  assert.equal(mock.calls.filter((call) => Number(call.arguments[1]) >= MINUTE_MS).length, 1);
});

test('the last wait counts, however long the waits before it were', (context) => {
  for (const before of [[], [1], [10], [10, 1], [5, 10, 5]]) {
    const { timer, told, pass } = rig(context);
    for (const minutes of before) {
      timer.start(minutes * MINUTE_MS, 'earlier');
      pass(MINUTE_MS / 2);
    }
    timer.start(5 * MINUTE_MS, 'last');
    pass(5 * MINUTE_MS - 1);
    assert.deepEqual(told, [], `after ${before}`);
    pass(1);
    assert.deepEqual(told, ['last'], `after ${before}`);
    pass(20 * MINUTE_MS);
    assert.deepEqual(told, ['last'], `after ${before}`);
    context.mock.timers.reset();
  }
});

test('where nothing is awaited nothing is late, and the next wait has its whole time', (context) => {
  const { timer, told, pass } = rig(context);
  timer.start(5 * MINUTE_MS, 'first');
  timer.stop();
  pass(20 * MINUTE_MS);
  assert.deepEqual(told, []);
  timer.start(MINUTE_MS, 'second');
  pass(MINUTE_MS - 1);
  assert.deepEqual(told, []);
  pass(1);
  assert.deepEqual(told, ['second']);
});

test('a shorter wait is not held up by the timer of a longer one', (context) => {
  const { timer, told, pass } = rig(context);
  timer.start(10 * MINUTE_MS, 'final reply');
  timer.start(10_000, 'QUIT');
  pass(10_000);
  assert.deepEqual(told, ['QUIT']);
});

test('a wait may begin when another one is late', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  const told: number[] = [];
  const timer = new LateTimer(
    () => {
      told.push(now);
      if (told.length < 2) timer.start(3 * MINUTE_MS, 'again');
    },
    () => now,
  );
  timer.start(MINUTE_MS, 'once');
  for (; now < 10 * MINUTE_MS; context.mock.timers.tick(MINUTE_MS)) now += MINUTE_MS;
  assert.deepEqual(told, [MINUTE_MS, 4 * MINUTE_MS]);
});

test('a waiting connection keeps no process alive, and one that has ended leaves no timer behind', (context) => {
  const timer = new LateTimer(() => assert.fail('nothing is late'));
  const { mock: made } = context.mock.method(globalThis, 'setTimeout');
  const { mock: cleared } = context.mock.method(globalThis, 'clearTimeout');
  timer.start(MINUTE_MS, 'reply');
  const one = made.calls.find((call) => call.arguments[1] === MINUTE_MS)?.result;
  assert.equal(one?.hasRef(), false);
  timer.stop();
  assert.ok(!cleared.calls.some(({ arguments: [given] }) => given === one));
  timer.close();
  assert.ok(cleared.calls.some(({ arguments: [given] }) => given === one));
});
