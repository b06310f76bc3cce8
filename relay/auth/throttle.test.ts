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
    return one.isDeaf(who) ? undefined : one.wrong(who, guess).delayMs;
  };
  /** So many failed proofs. Returns how many of them were judged. */
  const prove = (count: number, client: string, user: string) => {
    const who = { client, user };
    let judged = 0;
    for (let n = 0; n < count; n++) {
      if (one.isDeaf(who)) continue;
      one.wrong(who, `proof${++guesses}`, true);
      judged += 1;
    }
    return judged;
  };
  const wrongMany = (count: number, client: string, user: string) =>
    Array.from({ length: count }, () => wrong(client, user)).filter((delay) => delay !== undefined).length;
  return { clock, one, wrong, wrongMany, prove };
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
  assert.equal(wrongMany(30, 'home', 'other'), 19, 'proven no more, so all count, with the one before');
  assert.ok(one.isDeaf({ client: 'home', user: 'new' }));
});

test('a client sees no difference between a wrong guess at a user that is known there and at another one', () => {
  const seen = (user: string) => {
    const { one, wrongMany } = throttle();
    one.right({ client: 'nat', user: 'app' });
    const who = { client: 'nat', user };
    return [0, 1, 4, 14].map((others) => {
      wrongMany(others, 'nat', 'nobody');
      const { delayMs } = one.wrong(who, `guess at ${others}`);
      return [delayMs, one.wrong({ client: 'nat', user: 'joe' }, 'same').delayMs];
    });
  };
  assert.deepEqual(seen('app'), seen('zoe'));
  const { one, wrongMany } = throttle();
  one.right({ client: 'nat', user: 'app' });
  assert.equal(wrongMany(19, 'nat', 'nobody'), 19);
  assert.equal(one.wrong({ client: 'nat', user: 'app' }, 'twentieth').isDeaf, false);
  assert.ok(one.isDeaf({ client: 'nat', user: 'zoe' }));
  assert.equal(one.wrong({ client: 'nat', user: 'app' }, 'next').isDeaf, true);
  assert.ok(!one.isDeaf({ client: 'nat', user: 'app' }));
});

test('proofs with an old password make their user deaf at their client, and not the client', () => {
  const { clock, prove, wrong, one } = throttle();
  let judged = 0;
  // A program every ten seconds, and one of another user every half minute, for an hour.
  for (; clock.now < 6 * WINDOW_MS; clock.now += 10_000) {
    judged += prove(1, 'nat', 'app');
    if (clock.now % 30_000 === 0) prove(1, 'nat', 'other');
    assert.ok(!one.isDeaf({ client: 'nat', user: 'good' }));
  }
  assert.equal(judged, 6 * 20);
  // Five each count for the client, however long it goes on.
  for (let n = 0; n < 10; n++) assert.notEqual(wrong('nat', 'eve'), undefined);
  assert.equal(wrong('nat', 'eve'), undefined);
  assert.ok(!one.isDeaf({ client: 'home', user: 'app' }));
});

test('whoever guesses by proofs has twenty at a user and 65 at all within any ten minutes', () => {
  const { clock, prove } = throttle();
  assert.deepEqual(
    ['a', 'b', 'c', 'd', 'e'].map((user) => prove(30, 'eve', user)),
    [20, 20, 20, 5, 0],
  );
  const { clock: later, prove: guess } = throttle();
  const at: number[] = [];
  for (; later.now < 6 * WINDOW_MS; later.now += 1_000)
    for (let user = 0; user < 12; user++)
      if (guess(1, 'eve', `u${(user + at.length) % 12}`) === 1) at.push(later.now);
  for (const end of at) assert.ok(at.filter((one) => one <= end && one > end - WINDOW_MS).length <= 65);
  clock.now += WINDOW_MS;
  assert.equal(prove(30, 'eve', 'e'), 20);
});

test('what a client was refused is known there, while the same is stored of the user, and for ten minutes', () => {
  const { clock, one } = throttle();
  const who = { client: 'nat', user: 'app' };
  one.refused(who, 'guess', 'stored');
  assert.ok(one.wasRefused(who, 'guess', 'stored'));
  assert.ok(!one.wasRefused({ ...who, client: 'home' }, 'guess', 'stored'));
  assert.ok(!one.wasRefused(who, 'guess', 'other'));
  assert.ok(!one.wasRefused(who, 'other', 'stored'));
  clock.now += WINDOW_MS;
  assert.ok(!one.wasRefused(who, 'guess', 'stored'));
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
  const who = { client: 'a', user: 'x' };
  for (let n = 0; n < 10_001; n++) one.refused(who, `g${n}`, 's');
  assert.deepEqual([one.wasRefused(who, 'g0', 's'), one.wasRefused(who, 'g10000', 's')], [false, true]);
  // However many tokens are judged at a time.
  for (let n = 0; n < 100; n++) one.wrong({ client: 'tokens', user: 'x' }, `t${n}`);
  assert.ok(one.isDeaf({ client: 'tokens', user: 'x' }));
});
