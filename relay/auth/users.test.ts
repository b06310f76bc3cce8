import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashPassword, passwordMatches } from '#crds/passwordhash.ts';
import { FEWEST_ITERATIONS } from '#crds/storedpassword.ts';
import { Users } from './users.ts';

const stored = (password: string) => hashPassword(password, FEWEST_ITERATIONS);

test('a key is a user, and a list names users that cannot be keys', async () => {
  const [alice, joe, ann] = [await stored('one'), await stored('two'), await stored('three')];
  const users = new Users({ alice, users: `joe@example.com:${joe}\n\nann@example.com:${ann}\n` });
  assert.deepEqual(users.faults, []);
  for (const [name, password] of [
    ['alice', 'one'],
    ['joe@example.com', 'two'],
    ['ann@example.com', 'three'],
  ] as const) {
    const { exists, hash } = users.find(name);
    assert.equal(exists, true, name);
    assert.equal(await passwordMatches(hash, password), true, name);
    assert.equal(await passwordMatches(hash, 'another'), false, name);
  }
  for (const name of ['users', 'joe', 'nobody']) assert.equal(users.find(name).exists, false, name);
});

test('what is no stored password is told by name, and lets nobody in', async () => {
  const users = new Users({ bob: 'secret', list: `joe@example.com:${await stored('two')}\nann:secret\n` });
  assert.deepEqual(users.faults, ['bob', 'list']);
  assert.equal(users.find('bob').exists, false);
  assert.equal(users.find('ann').exists, false);
  assert.equal(users.find('joe@example.com').exists, true);
});

test('a decoy is the same each time, and as dear as the real ones', async () => {
  const users = new Users({ alice: await stored('one') });
  const [one, again] = [users.find('nobody').hash, users.find('nobody').hash];
  assert.deepEqual(one, again);
  assert.equal(one.iterations, FEWEST_ITERATIONS);
  assert.notDeepEqual(one.salt, users.find('somebody').hash.salt);
});

test('where the real ones are of several kinds the decoys are too, and another user changes few of them', async () => {
  const files: Record<string, string> = {};
  for (let index = 0; index < 20; index++)
    files[`user${index}`] = await hashPassword('one', FEWEST_ITERATIONS + (index % 4 === 0 ? 1 : 0));
  const iterationsIn = (users: Users) =>
    Array.from({ length: 400 }, (_, index) => users.find(`nobody${index}`).hash.iterations);
  const before = iterationsIn(new Users(files));
  const rare = before.filter((iterations) => iterations > FEWEST_ITERATIONS).length;
  assert.ok(rare > 0 && rare < 350, `${rare} of 400`);
  const after = iterationsIn(new Users({ ...files, zoe: await hashPassword('one', FEWEST_ITERATIONS + 2) }));
  const changed = after.filter((iterations, index) => iterations !== before[index]).length;
  assert.ok(changed < 200, `${changed} of 400`);
});

test('behind a stored password are the senders of the user, and without them it may use any', async () => {
  const hash = await stored('one');
  const users = new Users({
    free: hash,
    alice: `${hash} alice@example.com, *.example.org\nExample.NET\n`,
    users: `joe@example.com:${hash} joe@example.com\r\n\tsales@example.com\nann@example.com:${hash}\n`,
  });
  assert.deepEqual(users.faults, []);
  const may = (name: string, ...addresses: string[]) =>
    addresses.map((address) => users.find(name).senders?.(address));
  assert.equal(users.find('free').senders, null);
  assert.equal(users.find('ann@example.com').senders, null);
  assert.deepEqual(may('alice', 'Alice@Example.com', 'x@a.b.example.org', 'x@example.net'), [
    true,
    true,
    true,
  ]);
  assert.deepEqual(may('alice', 'bob@example.com', 'x@example.org', 'x@example.com', ''), [
    false,
    false,
    false,
    false,
  ]);
  assert.deepEqual(may('joe@example.com', 'joe@example.com', 'sales@example.com', 'ann@example.com'), [
    true,
    true,
    false,
  ]);
});

test('a user with a sender that cannot be read is locked out, and told by name', async () => {
  const hash = await stored('one');
  for (const sender of [
    '@example.com',
    'a@',
    '*',
    '*@example.com',
    'a b@',
    '"a@example.com',
    hash,
    'a_b..c',
  ]) {
    const users = new Users({ bob: `${hash} ok@example.com ${sender}` });
    assert.deepEqual([users.faults, users.find('bob').exists], [['bob'], false], sender);
  }
});
