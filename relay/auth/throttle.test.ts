import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '#test/kit/property.ts';
import { LoginThrottle } from './throttle.ts';

const WINDOW_MS = 10 * 60_000;

function throttle() {
  const clock = { now: 0 };
  const one = new LoginThrottle(() => clock.now);
  let guesses = 0;
  /** One wrong guess after the other. Returns the delay, or undefined for one that may not begin. */
  const wrong = (client: string, user: string, guess = `guess${++guesses}`) => {
    const who = { client, user };
    return one.isDeaf(who) ? undefined : one.wrong(who, guess);
  };
  const wrongMany = (count: number, client: string, user: string) =>
    Array.from({ length: count }, () => wrong(client, user)).filter((delay) => delay !== undefined).length;
  return { clock, one, wrong, wrongMany };
}

test('each wrong guess makes the next wrong answer slower, for its client and for its user, up to a bound', () => {
  const { wrong } = throttle();
  const delays = Array.from({ length: 7 }, () => wrong('a', 'bob'));
  assert.deepEqual(delays, [0, 500, 1000, 2000, 4000, 8000, 10_000]);
  assert.equal(wrong('a', 'eve'), 10_000);
  assert.equal(wrong('b', 'bob'), 10_000);
  assert.equal(wrong('c', 'joe'), 0);
});

test('a client is deaf after twenty wrong guesses, and time alone forgets each of them', () => {
  const { clock, one, wrong } = throttle();
  for (let n = 0; n < 20; n++) {
    assert.notEqual(wrong('a', `user${n}`), undefined);
    clock.now += 1_000;
  }
  one.right({ client: 'b', user: 'x' });
  for (const user of ['user1', 'x']) assert.ok(one.isDeaf({ client: 'a', user }));
  assert.ok(!one.isDeaf({ client: 'b', user: 'x' }));
  clock.now = WINDOW_MS - 1;
  assert.ok(one.isDeaf({ client: 'a', user: 'x' }));
  clock.now = WINDOW_MS;
  assert.notEqual(wrong('a', 'x'), undefined, 'the first one is forgotten');
  assert.equal(wrong('a', 'x'), undefined, 'and no other one is');
  clock.now += WINDOW_MS;
  assert.equal(wrong('a', 'x'), 0);
});

test('the same wrong guess counts once, however often it comes, and is answered with the delay', () => {
  const { wrong } = throttle();
  const delays = Array.from({ length: 100 }, () => wrong('nat', 'app', 'old'));
  assert.deepEqual([...new Set(delays)], [0, 500]);
  assert.equal(wrong('other', 'app', 'old'), 500);
  assert.equal(wrong('other', 'app', 'old'), 500);
  assert.equal(wrong('nat', 'app'), 500);
  assert.equal(wrong('nat', 'app'), 1000);
});

test('a good login clears nothing: who knows one password guesses those of others no faster', () => {
  const { one, wrongMany, wrong } = throttle();
  let answered = 0;
  for (let n = 0; n < 100; n++) {
    one.right({ client: 'a', user: 'eve' });
    one.right({ client: 'victim', user: 'bob' });
    answered += wrongMany(1, 'a', 'bob');
  }
  assert.equal(answered, 20);
  assert.equal(wrong('b', 'bob'), 10_000);
});

test('a user that a client has logged in as goes on there, with a bound of its own, for ten minutes', () => {
  const { clock, one, wrongMany } = throttle();
  one.right({ client: 'nat', user: 'app' });
  assert.equal(wrongMany(30, 'nat', 'eve'), 20);
  assert.ok(!one.isDeaf({ client: 'nat', user: 'app' }));
  assert.ok(one.isDeaf({ client: 'nat', user: 'other' }));
  assert.equal(wrongMany(30, 'nat', 'app'), 20);
  one.right({ client: 'nat', user: 'app' });
  assert.ok(one.isDeaf({ client: 'nat', user: 'app' }), 'a good login clears nothing');
  // Of another client it proves nothing.
  one.right({ client: 'home', user: 'other' });
  assert.ok(one.isDeaf({ client: 'nat', user: 'other' }));
  clock.now += WINDOW_MS / 2;
  wrongMany(1, 'home', 'other');
  clock.now += WINDOW_MS / 2;
  assert.equal(wrongMany(30, 'home', 'other'), 20, 'proven no more, so it counts for the client');
  assert.ok(one.isDeaf({ client: 'home', user: 'new' }));
});

test('what was refused is known, while the same is stored of the user, and for ten minutes', () => {
  const { clock, one } = throttle();
  one.refused('guess', 'stored');
  assert.ok(one.wasRefused('guess', 'stored'));
  assert.ok(!one.wasRefused('guess', 'other'));
  assert.ok(!one.wasRefused('other', 'stored'));
  clock.now += WINDOW_MS;
  assert.ok(!one.wasRefused('guess', 'stored'));
});

test('in whatever order guesses begin and end, those that failed and those on their way are twenty at most', () => {
  const step = fc.constantFrom('begin', 'begin', 'wrong', 'wrong', 'again', 'right', 'unavailable');
  const steps = fc.array(fc.tuple(step, fc.constantFrom('bob', 'eve')), { maxLength: 150 });
  fc.assert(
    fc.property(steps, (all) => {
      const { one } = throttle();
      const open: { user: string; end: () => void }[] = [];
      const failed = new Set<number>();
      const proven = new Set<string>();
      all.forEach(([next, user], n) => {
        const who = { client: 'a', user };
        if (next === 'begin') {
          if (!one.isDeaf(who) && one.mayGuess(who)) open.push({ user, end: one.begin(who) });
          return;
        }
        const ending = open.shift();
        if (!ending) return;
        ending.end();
        const of = { client: 'a', user: ending.user };
        if (next === 'right') one.right(of);
        if (next === 'right') proven.add(ending.user);
        if (next === 'wrong') one.wrong(of, `${n}`);
        if (next === 'again') one.wrong(of, 'again');
        if (next === 'wrong') failed.add(n);
        if (next === 'again') failed.add(-1);
      });
      assert.ok(failed.size + open.length <= 20 * (1 + proven.size));
      // No place is lost.
      for (const { end } of open) end();
      const who = { client: 'b', user: 'bob' };
      const ends = Array.from({ length: 20 }, () => one.begin(who));
      assert.ok(!one.mayGuess(who) && !one.isDeaf(who));
      for (const end of ends) end();
      assert.ok(one.mayGuess(who));
    }),
  );
});

test('clients, users and guesses are bounded: the oldest ones are forgotten', () => {
  const { one, wrong } = throttle();
  for (let n = 0; n < 19; n++) wrong('first', `u${n}`);
  for (let n = 0; n < 10_001; n++) wrong(`c${n}`, `user${n}`);
  assert.equal(wrong('first', 'x'), 0);
  for (let n = 0; n < 10_001; n++) one.refused(`g${n}`, 's');
  assert.deepEqual([one.wasRefused('g0', 's'), one.wasRefused('g10000', 's')], [false, true]);
  // However many tokens are judged at a time.
  for (let n = 0; n < 100; n++) one.wrong({ client: 'tokens', user: 'x' }, `t${n}`);
  assert.ok(one.isDeaf({ client: 'tokens', user: 'x' }));
});
