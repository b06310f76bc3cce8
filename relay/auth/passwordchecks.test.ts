import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PasswordHash } from '#crds/storedpassword.ts';
import { PasswordChecks } from './passwordchecks.ts';

const stored = (salt: string, key = 'key'): PasswordHash => ({
  iterations: 4_096,
  salt: Buffer.from(salt),
  storedKey: Buffer.from(key),
  serverKey: Buffer.from('server'),
});
const [alice, bob] = [stored('alice'), stored('bob')];

/** Checks that end when the test says so. "right" is right. */
function held() {
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const checks = new PasswordChecks(async ({ salt }, password) => {
    begun.push(`${salt} ${password}`);
    await new Promise<void>((resolve) => ends.push(resolve));
    return password === 'right';
  });
  const endAll = async () => {
    for (let turn = 0; turn < 2_000; turn++) {
      ends.shift()?.();
      await new Promise(setImmediate);
    }
  };
  return { checks, begun, endAll };
}

test('fifty logins at the same time with the same password cost one check, whether it is right or wrong', async () => {
  for (const password of ['right', 'wrong']) {
    const { checks, begun, endAll } = held();
    const logins = Array.from({ length: 50 }, () => checks.check(alice, password));
    await endAll();
    assert.deepEqual(new Set(await Promise.all(logins)), new Set([password === 'right']));
    assert.deepEqual(begun, [`alice ${password}`]);
    // The next one is checked again.
    const later = checks.check(alice, password);
    await endAll();
    assert.equal(await later, password === 'right');
    assert.equal(begun.length, 2);
  }
});

test('another password, another user and another stored form have a check of their own', async () => {
  const { checks, begun, endAll } = held();
  const logins = [
    checks.check(alice, 'right'),
    checks.check(alice, 'wrong'),
    checks.check(bob, 'right'),
    checks.check(stored('alice', 'new'), 'right'),
  ];
  await endAll();
  assert.deepEqual(await Promise.all(logins), [true, false, true, true]);
  assert.equal(begun.length, 4);
});

test('whoever repeats one wrong password delays nobody else by more than one check', async () => {
  const { checks, begun, endAll } = held();
  const guesses = Array.from({ length: 400 }, () => checks.check(bob, 'wrong'));
  const honest = checks.check(alice, 'right');
  await new Promise(setImmediate);
  assert.deepEqual(begun, ['bob wrong', 'alice right']);
  await endAll();
  assert.equal(await honest, true);
  await Promise.all(guesses);
});

test('the number of waiting logins is bounded, and a check that fails stops no other', async () => {
  const { checks, begun, endAll } = held();
  const same = Array.from({ length: 501 }, () => checks.check(alice, 'right'));
  assert.equal(same.indexOf(undefined), 500);
  const others = Array.from({ length: 500 }, (_, index) => checks.check(bob, `guess ${index}`));
  assert.equal(others.indexOf(undefined), 499);
  await endAll();
  assert.equal((await Promise.all(same)).filter((is) => is === true).length, 500);
  await Promise.all(others);
  assert.equal(begun.length, 500);

  const failing = new PasswordChecks((_hash, password) =>
    password === 'bad' ? Promise.reject(new Error('no thread')) : Promise.resolve(true),
  );
  await assert.rejects(failing.check(alice, 'bad') ?? Promise.resolve());
  for (let index = 0; index < 4; index++) assert.equal(await failing.check(alice, `${index}`), true);
});
