/** Who is checked when. Checks end when the test says so, and a delay takes no time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { LoginGuard, type Verdict } from './guard.ts';

const OPEN = new AbortController().signal;

function makeGuard() {
  /** The delays that are held back go on. */
  const sleeps: (() => void)[] = [];
  const guard = new LoginGuard(
    () => 0,
    () => new Promise<void>((resolve) => sleeps.push(resolve)),
  );
  /** The checks that have begun, and those that have not ended. */
  const begun: string[] = [];
  const open: { readonly end: (isRight: boolean) => void; readonly fail: (error: Error) => void }[] = [];
  const verdicts = new Map<string, Verdict['kind'][]>();
  /** A password begins with "right" or is wrong. */
  const guess = (client: string, user: string, password: string, ended: AbortSignal = OPEN) => {
    const name = `${client} ${user} ${password}`;
    const check = () => {
      begun.push(name);
      const { promise, resolve, reject } = Promise.withResolvers<boolean>();
      open.push({ end: () => resolve(password.startsWith('right')), fail: reject });
      return promise;
    };
    const verdict = guard.guess({ client, user, key: `${user} ${password}`, check, ended });
    void verdict.then(
      ({ kind }) => verdicts.set(name, [...(verdicts.get(name) ?? []), kind]),
      () => undefined,
    );
    return verdict;
  };
  /** So many checks end, one after the other. */
  const endChecks = async (count = Number.POSITIVE_INFINITY) => {
    for (let n = 0; n < count && open.length > 0; n++) {
      open.shift()?.end(true);
      await setImmediate();
    }
  };
  return { guard, guess, begun, open, verdicts, sleeps, endChecks };
}

test('clients take turns: behind a hundred guesses of strangers a login waits for one of each', async () => {
  const { guess, begun, endChecks, verdicts } = makeGuard();
  for (let client = 0; client < 5; client++)
    for (let n = 0; n < 20; n++) void guess(`stranger${client}`, `u${n}`, `wrong${client}`);
  void guess('app', 'app', 'right');
  await endChecks(6);
  const at = begun.indexOf('app app right');
  assert.ok(at >= 0 && at <= 7, `${at}`);
  await endChecks();
  assert.deepEqual(verdicts.get('app app right'), ['right']);
  // Of one client, the oldest first.
  const first = begun.filter((name) => name.startsWith('stranger0'));
  assert.deepEqual(
    first,
    Array.from({ length: 20 }, (_, n) => `stranger0 u${n} wrong0`),
  );
});

test('two checks run at a time, and fifty logins with the same password cost one, right or wrong', async () => {
  for (const password of ['right', 'wrong']) {
    const { guess, begun, open, endChecks } = makeGuard();
    const others = ['x', 'y', 'z'].map((user) => guess('other', user, 'right'));
    const logins = Array.from({ length: 50 }, (_, n) => guess(`pod${n % 5}`, 'app', password));
    assert.equal(open.length, 2);
    await endChecks(2);
    logins.push(guess('pod9', 'app', password));
    assert.equal(open.length, 2);
    await endChecks();
    assert.deepEqual(new Set((await Promise.all(logins)).map(({ kind }) => kind)), new Set([password]));
    assert.equal(begun.filter((name) => name.endsWith(` app ${password}`)).length, 1);
    await Promise.all(others);
    // The next one is checked again.
    const later = guess('pod0', 'app', password);
    await endChecks();
    assert.equal((await later).kind, password);
    assert.equal(begun.filter((name) => name.endsWith(` app ${password}`)).length, 2);
  }
});

test('guesses at the same time are twenty, and the rest are refused without a check', async () => {
  const { guess, begun, endChecks } = makeGuard();
  const all = Array.from({ length: 150 }, (_, n) => guess('a', 'app', `wrong${n}`));
  await endChecks();
  const kinds = (await Promise.all(all)).map(({ kind }) => kind);
  assert.deepEqual(kinds, [...Array(20).fill('wrong'), ...Array(130).fill('deaf')]);
  assert.equal(begun.length, 20);
  assert.equal((await guess('a', 'app', 'right')).kind, 'deaf');
});

test('an old password of some pods is one guess, and the good one of the others is checked at once', async () => {
  const { guess, endChecks } = makeGuard();
  const all = Array.from({ length: 60 }, (_, n) =>
    n % 2 === 1 && n < 50 ? guess('nat', 'old', 'wrong') : guess('nat', 'good', 'right'),
  );
  await endChecks(2);
  const kinds = (await Promise.all(all)).map(({ kind }) => kind);
  assert.deepEqual([kinds.filter((kind) => kind === 'right').length, kinds.length], [35, 60]);
});

test('answers that are held back delay no check of another user, and those of a user are twenty', async () => {
  const { guess, begun, endChecks, sleeps, verdicts } = makeGuard();
  for (let n = 0; n < 25; n++) {
    void guess('nat', 'bob', `wrong${n}`);
    void guess('nat', 'good', `right${n}`);
  }
  await endChecks();
  const guesses = () => begun.filter((name) => name.startsWith('nat bob')).length;
  // The first one is answered at once, so its place is free.
  assert.equal(guesses(), 21);
  assert.equal([...verdicts.keys()].filter((name) => name.startsWith('nat good')).length, 25);
  // Until the answers are out. A step of a delay is half a second.
  for (let step = 0; step < 200; step++) {
    for (const wake of sleeps.splice(0)) wake();
    await endChecks();
  }
  assert.equal(guesses(), 25);
});

test('who has gone waits no more, and is not checked', async () => {
  const { guess, begun, endChecks, verdicts } = makeGuard();
  const session = new AbortController();
  const before = [guess('a', 'x', 'right'), guess('a', 'y', 'right')];
  const gone = Array.from({ length: 10 }, (_, n) => guess('a', `gone${n}`, 'wrong', session.signal));
  const next = guess('a', 'z', 'right');
  session.abort();
  assert.deepEqual(new Set((await Promise.all(gone)).map(({ kind }) => kind)), new Set(['gone']));
  assert.equal((await guess('a', 'late', 'wrong', session.signal)).kind, 'gone');
  await endChecks();
  await Promise.all([...before, next]);
  assert.deepEqual(begun, ['a x right', 'a y right', 'a z right']);
  assert.deepEqual(verdicts.get('a late wrong'), ['gone']);
});

test('who has closed its sending side is answered, if it need not wait', async () => {
  const { guess, endChecks } = makeGuard();
  const login = guess('a', 'app', 'right', AbortSignal.abort());
  await endChecks();
  assert.equal((await login).kind, 'right');
});

test('of one client so many wait, whoever else comes', async () => {
  const { guess, endChecks } = makeGuard();
  const all = Array.from({ length: 510 }, (_, n) => guess('a', `u${n}`, 'right'));
  const other = guess('b', 'app', 'right');
  await endChecks();
  const kinds = (await Promise.all(all)).map(({ kind }) => kind);
  assert.deepEqual(kinds, [...Array(502).fill('right'), ...Array(8).fill('full')]);
  assert.equal((await other).kind, 'right');
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
  const { guard, guess, endChecks } = makeGuard();
  const busy = Array.from({ length: 5 }, (_, n) => guess('a', `u${n}`, 'right'));
  const token = () => guard.token('a', async () => ({ kind: 'wrong' as const }));
  const held = [await token(), await token()].map((one) => one !== 'deaf' && one.held !== undefined);
  assert.deepEqual(held, [false, true]);
  await endChecks();
  await Promise.all(busy);
  for (let n = 0; n < 20; n++) await token();
  assert.equal(await token(), 'deaf');
});
