/**
 * Who is checked when: networks take turns, and few wait. Checks end when the test says so, and a delay takes no time.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { kindsOf, makeGuard, OPEN } from '#test/kit/guardrig.ts';
import { LoginGuard } from './guard.ts';

test('networks take turns: behind a hundred guesses of a network a login waits for one, and the oldest goes first', async () => {
  const { guess, begun, endChecks, verdicts } = makeGuard();
  for (let client = 0; client < 100; client++)
    void guess(`stranger${client}`, `u${client}`, 'wrong', { network: 'site' });
  void guess('app', 'app', 'right');
  await endChecks(2);
  const at = begun.indexOf('app app right');
  assert.ok(at >= 0 && at <= 3, `${at}`);
  await endChecks();
  assert.deepEqual(verdicts.get('app app right'), ['right']);
  assert.deepEqual(
    begun.filter((name) => name.startsWith('stranger')),
    Array.from({ length: 100 }, (_, n) => `stranger${n} u${n} wrong`),
  );
});

test('behind many networks a login waits for one guess of each', async () => {
  const { guess, begun, endChecks } = makeGuard();
  for (let client = 0; client < 5; client++)
    for (let n = 0; n < 20; n++) void guess(`stranger${client}`, `u${n}`, `wrong${client}`);
  void guess('app', 'app', 'right');
  await endChecks(6);
  const at = begun.indexOf('app app right');
  assert.ok(at >= 0 && at <= 7, `${at}`);
  await endChecks();
});

test('two checks run at a time, and fifty logins with the same password at once cost one', async () => {
  for (const password of ['right', 'wrong']) {
    const { guess, begun, open, endChecks } = makeGuard();
    const others = ['x', 'y', 'z'].map((user) => guess('other', user, 'right'));
    const logins = Array.from({ length: 50 }, (_, n) => guess(`pod${n % 5}`, 'app', password));
    assert.equal(open.length, 2);
    await endChecks(2);
    logins.push(guess('pod9', 'app', password));
    assert.equal(open.length, 2);
    await endChecks();
    assert.deepEqual(new Set(await kindsOf(logins)), new Set([password]));
    const checks = () => begun.filter((name) => name.endsWith(` app ${password}`)).length;
    assert.equal(checks(), 1);
    await Promise.all(others);
    // The next right one is checked again. A wrong one is known to who was refused.
    const later = guess('pod0', 'app', password);
    await endChecks();
    assert.equal((await later).kind, password);
    assert.equal(checks(), password === 'right' ? 2 : 1);
  }
});

test('an answer that is held back waits its time, whoever logs in meanwhile, and ends with its session', async () => {
  const slept: { readonly ms: number; readonly wake: () => void }[] = [];
  const guard = new LoginGuard(
    () => 0,
    (ms, ended) =>
      new Promise<void>((resolve, reject) => {
        slept.push({ ms, wake: resolve });
        ended.addEventListener('abort', () => reject(new Error('aborted')));
      }),
  );
  const session = new AbortController();
  const say = (client: string, shown: string, ended = OPEN) =>
    guard.guess({
      client,
      network: client,
      user: { source: null, name: 'app' },
      shown,
      isProof: false,
      stored: () => '',
      check: async () => shown === 'right',
      ended,
    });
  await say('eve', 'first');
  const held = [await say('eve', 'second'), await say('eve', 'third', session.signal)];
  const over: number[] = [];
  held.forEach((verdict, n) => {
    assert.ok(verdict.kind === 'wrong');
    void verdict.held.then(() => over.push(n));
  });
  assert.equal((await say('victim', 'right')).kind, 'right');
  await setImmediate();
  assert.deepEqual([slept.map(({ ms }) => ms), over], [[500, 1000], []]);
  session.abort();
  await setImmediate();
  assert.deepEqual(over, [1]);
  slept[0]?.wake();
  await setImmediate();
  assert.deepEqual(over, [1, 0]);
});

test('who has gone waits no more, and is not checked', async () => {
  const { guess, begun, endChecks, verdicts } = makeGuard();
  const session = new AbortController();
  const { signal: ended } = session;
  const before = [guess('a', 'x', 'right'), guess('a', 'y', 'right')];
  const gone = Array.from({ length: 10 }, (_, n) => guess('a', `gone${n}`, 'wrong', { ended }));
  const next = guess('a', 'z', 'right');
  session.abort();
  assert.deepEqual(new Set(await kindsOf(gone)), new Set(['gone']));
  assert.equal((await guess('a', 'late', 'wrong', { ended })).kind, 'gone');
  await endChecks();
  await Promise.all([...before, next]);
  assert.deepEqual(begun, ['a x right', 'a y right', 'a z right']);
  assert.deepEqual(verdicts.get('a late wrong'), ['gone']);
});

test('of one client so many wait, whoever else comes', async () => {
  const { guess, endChecks } = makeGuard();
  const all = Array.from({ length: 510 }, (_, n) => guess('a', `u${n}`, 'right'));
  const other = guess('b', 'app', 'right');
  await endChecks();
  assert.deepEqual(await kindsOf(all), [...Array(502).fill('right'), ...Array(8).fill('full')]);
  assert.equal((await other).kind, 'right');
});

test('in all 5,000 wait, and beyond them the newest of the network with the most gives way', async () => {
  const { guess, endChecks, verdicts } = makeGuard();
  for (let n = 0; n < 6_000; n++) void guess(`client${n % 100}`, `u${n}`, 'right', { network: 'crowd' });
  const others = Array.from({ length: 10 }, (_, n) => guess(`other${n}`, 'app', `right${n}`));
  await setImmediate();
  const full = [...verdicts.values()].filter(([kind]) => kind === 'full').length;
  assert.equal(full, 6_000 + 10 - 2 - 5_000);
  await endChecks(40);
  assert.deepEqual(new Set(await kindsOf(others)), new Set(['right']));
});

test('where all networks have as many waiting, who came last is refused', async () => {
  const { guess, endChecks, verdicts } = makeGuard();
  for (let n = 0; n < 5_003; n++) void guess(`c${n}`, `u${n}`, 'right');
  await setImmediate();
  assert.deepEqual([...verdicts], [['c5002 u5002 right', ['full']]]);
  await endChecks(4);
});
