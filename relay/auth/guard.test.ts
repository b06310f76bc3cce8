/** Which guesses are checked, count and are remembered. Checks end when the test says so, and a delay takes no time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { kindsOf, makeGuard, OPEN } from '#test/kit/guardrig.ts';
import { LoginGuard } from './guard.ts';

test('a wrong password that comes again costs no check and counts once, until the user has another one', async () => {
  const { guess, begun, endChecks, sleeps, secret, clock } = makeGuard();
  for (let n = 0; n < 100; n++) {
    const stale = guess('nat', 'app', 'old');
    await endChecks();
    assert.equal((await stale).kind, 'wrong');
    clock.now += 1_000;
  }
  assert.equal(begun.length, 1);
  assert.deepEqual(sleeps, Array(99).fill(500));
  secret.stored = 'second';
  secret.password = 'old';
  const good = guess('nat', 'app', 'old');
  await endChecks();
  assert.equal((await good).kind, 'right');
});

test('what a client was refused another one does not know, and a proof is not remembered', async () => {
  const { guess, begun, endChecks } = makeGuard();
  const refused = async (client: string, password: string, isProof: boolean) => {
    const wrong = guess(client, 'app', password, { isProof });
    await endChecks();
    assert.equal((await wrong).kind, 'wrong');
    return begun.length;
  };
  assert.deepEqual([await refused('a', 'old', false), await refused('a', 'old', false)], [1, 1]);
  assert.deepEqual([await refused('b', 'old', false), await refused('b', 'old', false)], [2, 2]);
  assert.deepEqual([await refused('c', 'proof', true), await refused('c', 'proof', true)], [3, 4]);
});

test('users of two Secrets are two users', async () => {
  const { guess, begun, endChecks, sleeps } = makeGuard();
  for (const source of ['one', 'one', 'two', 'one', 'two']) {
    const wrong = guess('nat', 'app', `wrong${source}`, { of: source });
    const same = guess('nat', 'app', 'same', { of: source });
    await endChecks();
    await Promise.all([wrong, same]);
  }
  // Two guesses at each user.
  assert.equal(begun.length, 4);
  assert.deepEqual(sleeps.slice(0, 1), [500]);
  const first = guess('new', 'app', 'wrong', { of: 'three' });
  const before = sleeps.length;
  await endChecks();
  assert.equal((await first).kind, 'wrong');
  assert.equal(sleeps.length, before, 'nothing was counted for it');
});

test('the Secret counts at the moment of the verdict: a user who has changed during the check is checked again', async () => {
  for (const [shown, kind] of [
    ['right', 'wrong'],
    ['second', 'right'],
  ] as const) {
    const { guess, begun, open, secret } = makeGuard();
    const login = guess('a', 'app', shown);
    assert.equal(open.length, 1);
    secret.stored = 'second';
    open.shift()?.end();
    secret.password = 'second';
    await setImmediate();
    assert.equal(begun.length, 2);
    open.shift()?.end();
    assert.equal((await login).kind, kind);
  }
});

test('guesses at the same time are twenty, and the rest are refused without a check', async () => {
  const { guess, begun, endChecks } = makeGuard();
  const all = Array.from({ length: 150 }, (_, n) => guess('a', 'app', `wrong${n}`));
  await endChecks();
  assert.deepEqual(await kindsOf(all), [...Array(20).fill('wrong'), ...Array(130).fill('deaf')]);
  assert.equal(begun.length, 20);
  assert.equal((await guess('a', 'app', 'right')).kind, 'deaf');
});

test('the throttle is asked for a guess that another client has under check, too', async () => {
  const { guess, begun, endChecks } = makeGuard();
  const busy = ['x', 'y'].map((user) => guess('busy', user, 'right'));
  // Helpers at many addresses, whose turns come first, have each guess checked.
  const helpers = Array.from({ length: 60 }, (_, n) => guess(`helper${n}`, 'app', `wrong${n}`));
  const all = Array.from({ length: 60 }, (_, n) => guess('a', 'app', `wrong${n}`));
  await endChecks();
  await Promise.all([...busy, ...helpers]);
  assert.deepEqual(await kindsOf(all), [...Array(20).fill('wrong'), ...Array(40).fill('deaf')]);
  assert.equal(begun.length, 62);
});

test('a user that a client was logged in as goes on where the client is deaf', async () => {
  const { guess, endChecks } = makeGuard();
  const login = guess('nat', 'app', 'right');
  await endChecks();
  assert.equal((await login).kind, 'right');
  const all = Array.from({ length: 30 }, (_, n) => guess('nat', `u${n}`, 'wrong'));
  await endChecks();
  await Promise.all(all);
  const again = [guess('nat', 'app', 'right'), guess('nat', 'new', 'right')];
  await endChecks();
  assert.deepEqual(await kindsOf(again), ['right', 'deaf']);
});

test('an old password of some pods is one guess, and the good one of the others is checked at once', async () => {
  const { guess, endChecks } = makeGuard();
  const all = Array.from({ length: 60 }, (_, n) =>
    n % 2 === 1 && n < 50 ? guess('nat', 'old', 'wrong') : guess('nat', 'good', 'right'),
  );
  await endChecks(2);
  const kinds = await kindsOf(all);
  assert.deepEqual([kinds.filter((kind) => kind === 'right').length, kinds.length], [35, 60]);
});

test('a guess at a user that is known there is told as others where the client is deaf, after its check', async () => {
  const { guess, endChecks, begun, sleeps } = makeGuard();
  const login = guess('nat', 'app', 'right');
  await endChecks();
  await login;
  const all = Array.from({ length: 20 }, (_, n) => guess('nat', `u${n}`, 'wrong'));
  await endChecks();
  await Promise.all(all);
  const before = [begun.length, sleeps.length];
  const wrong = guess('nat', 'app', 'wrong');
  await endChecks();
  const verdict = await wrong;
  assert.ok(verdict.kind === 'wrong' && verdict.isDeaf);
  assert.deepEqual([begun.length - 1, sleeps.length], before, 'checked, and not held back');
});

test('a token that the issuer has signed is no guess, whatever else is wrong with it', async () => {
  const { guard, sleeps } = makeGuard();
  const claim = { client: 'nat', user: { source: 'https://issuer', name: 'app' }, ended: OPEN };
  const kind = 'wrong' as const;
  for (let n = 0; n < 50; n++)
    assert.notEqual(await guard.token(claim, `${n}`, async () => ({ kind, isSigned: true })), 'deaf');
  assert.deepEqual(sleeps, []);
  for (let n = 0; n < 20; n++) await guard.token(claim, `${n}`, async () => ({ kind, isSigned: false }));
  assert.equal(await guard.token(claim, 'one', async () => ({ kind, isSigned: true })), 'deaf');
});

test('a check that fails fails all of its logins and stops no other', async () => {
  const { guess, open, endChecks } = makeGuard();
  const failing = [guess('a', 'app', 'bad'), guess('b', 'app', 'bad')];
  open.shift()?.fail(new Error('no thread'));
  for (const one of failing) await assert.rejects(one, /no thread/);
  for (let n = 0; n < 4; n++) {
    const next = guess('a', 'app', `right${n}`);
    await endChecks();
    assert.equal((await next).kind, 'right');
  }
});

test('tokens take no turn, and a wrong one is held back after the first', async () => {
  const { guard, guess, endChecks, sleeps } = makeGuard();
  const busy = Array.from({ length: 5 }, (_, n) => guess('a', `u${n}`, 'right'));
  const claimOf = (name: string) => ({ client: 'a', user: { source: 'https://issuer', name }, ended: OPEN });
  const right = () => guard.token(claimOf('app'), 'good', async () => ({ kind: 'right' as const }));
  await right();
  const token = (said: string) =>
    guard.token(claimOf('mailer'), said, async () => ({ kind: 'wrong' as const }));
  for (let n = 0; n < 3; n++) await token('one');
  assert.deepEqual(sleeps, [500, 500], 'one that comes again counts once');
  await endChecks();
  await Promise.all(busy);
  for (let n = 1; n < 20; n++) assert.notEqual(await token(`${n}`), 'deaf');
  assert.equal(await token('last'), 'deaf');
  assert.notEqual(await right(), 'deaf', 'this client is known for it');
});

test('of guesses that wait for an equal one under check the throttle is not asked again', async () => {
  let asked = 0;
  const guard = new LoginGuard(() => {
    asked += 1;
    return 0;
  });
  const say = (check: () => Promise<boolean>) =>
    guard.guess({
      client: 'nat',
      network: 'nat',
      user: { source: null, name: 'app' },
      shown: 'same',
      isProof: false,
      stored: () => '',
      check,
      ended: OPEN,
    });
  await say(async () => true);
  const gate = Promise.withResolvers<boolean>();
  const all = Array.from({ length: 400 }, () => say(() => gate.promise));
  asked = 0;
  all.push(say(() => gate.promise));
  assert.ok(asked < 10, `${asked}`);
  gate.resolve(true);
  assert.deepEqual(new Set(await kindsOf(all)), new Set(['right']));
});
