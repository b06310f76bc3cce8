/** Which MTA-STS policy counts for a domain: when it is fetched, refreshed and dropped, and what is told of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import { DAY_MS, enforce, failure, finding, World } from '#test/fixtures/stsworld.ts';
import type { Fetched } from './fetch.ts';

test('the policy is fetched once, and again when the record has another id', async () => {
  const world = new World();
  assert.deepEqual(await world.find(), finding(enforce('mx.example.com')));
  world.published = enforce('new.example.com');
  assert.deepEqual(await world.find(), finding(enforce('mx.example.com')));
  assert.equal(world.fetched, 1);
  world.records = [['v=STSv1; id=2']];
  assert.deepEqual(await world.find(), finding(enforce('new.example.com')));
  assert.deepEqual(world.events, ['sts_policy', 'sts_policy']);
  assert.deepEqual(world.counts, ['fetched', 'fetched']);
});

test('while a policy is valid nothing weakens it', async () => {
  const world = new World();
  const kept = finding(enforce('mx.example.com'));
  assert.deepEqual(await world.find(), kept);
  for (const records of [[], [['v=STSv1; id=']], [['v=STSv1; id=1'], ['v=STSv1; id=2']], undefined]) {
    world.records = records;
    assert.deepEqual(await world.find(), kept);
  }
  world.records = [['v=STSv1; id=2']];
  world.published = undefined;
  assert.deepEqual(await world.find(), kept);
  world.now += 7 * DAY_MS - 1;
  assert.deepEqual(await world.find(), kept);
  world.now += 1;
  assert.deepEqual(await world.find(), { kind: 'failed', failure });
  world.records = [];
  assert.deepEqual(await world.find(), { kind: 'none' });
});

test('what a fault of this relay prevents is no absence of a policy: the mail waits, or a held policy counts', async () => {
  const world = new World();
  const ours = makeFailure({ cause: 'local', status: '4.7.0', text: 'nobody is trusted' });
  const fetchWell = world.fetch;
  world.fetch = async () => ({ kind: 'failed', failure: ours });
  assert.deepEqual(await world.find(), { kind: 'unasked', failure: ours });
  assert.deepEqual(await world.find(), { kind: 'unasked', failure: ours });
  // Nothing of the host is remembered that was not asked.
  world.fetch = fetchWell;
  const kept = finding(enforce('mx.example.com'));
  assert.deepEqual(await world.find(), kept);
  world.fetch = async () => ({ kind: 'failed', failure: ours });
  world.records = [['v=STSv1; id=2']];
  assert.deepEqual(await world.find(), kept);
  world.records = [];
  assert.deepEqual(await world.find('other.example'), { kind: 'none' });
});

test('a certificate of the policy host that is not valid yet is a matter of a clock, and one that has expired is a failure', async () => {
  const world = new World();
  const facts = { cause: 'sts-webpki-invalid', status: '4.7.5', text: 'a certificate' } as const;
  const early = makeFailure({ ...facts, mayPass: true });
  world.fetch = async () => ({ kind: 'failed', failure: early });
  assert.deepEqual(await world.find(), { kind: 'unasked', failure: early });
  const expired = makeFailure(facts);
  world.fetch = async () => ({ kind: 'failed', failure: expired });
  assert.deepEqual(await world.find('other.example'), { kind: 'failed', failure: expired });
});

test('a fetch under way while other authorities come says nothing of them when it fails', async () => {
  const world = new World();
  const fetchWell = world.fetch;
  const begun = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<Fetched>();
  world.fetch = () => {
    begun.resolve();
    return answer.promise;
  };
  const first = world.find();
  await begun.promise;
  world.policies.forgive();
  world.fetch = fetchWell;
  const meanwhile = world.find();
  answer.resolve({ kind: 'failed', failure });
  assert.deepEqual(await first, { kind: 'failed', failure });
  for (const found of [meanwhile, world.find()])
    assert.deepEqual(await found, finding(enforce('mx.example.com')));
});

test('mode none ends a policy, mode testing is told', async () => {
  const world = new World();
  await world.find();
  world.published = { mode: 'testing', mxPatterns: ['mx.example.com'], maxAgeSeconds: 86_400 };
  world.records = [['v=STSv1; id=2']];
  assert.deepEqual(await world.find(), finding(world.published));
  world.published = { mode: 'none', mxPatterns: [], maxAgeSeconds: 86_400 };
  world.records = [['v=STSv1; id=3']];
  assert.deepEqual(await world.find(), { kind: 'none' });
  assert.deepEqual(await world.find(), { kind: 'none' });
  assert.equal(world.fetched, 3);
});

test('a fetch that failed is repeated after five minutes, or for another id at once', async () => {
  const world = new World();
  world.published = undefined;
  for (const records of [[['v=STSv1; id=1']], [['v=STSv1; id=1']]]) {
    world.records = records;
    assert.deepEqual(await world.find(), { kind: 'failed', failure });
  }
  assert.equal(world.fetched, 1);
  world.records = [['v=STSv1; id=2']];
  await world.find();
  assert.equal(world.fetched, 2);
  world.now += 5 * 60_000;
  await world.find();
  assert.equal(world.fetched, 3);
  assert.deepEqual(world.events, Array(3).fill('sts_policy_failed'));
});

test('a policy without a time is fetched again after five minutes', async () => {
  const world = new World();
  world.published = { ...enforce('mx.example.com'), maxAgeSeconds: 0 };
  for (let index = 0; index < 3; index += 1) {
    assert.deepEqual(await world.find(), finding(world.published));
    world.now += 1_000;
  }
  assert.equal(world.fetched, 1);
  world.now += 5 * 60_000;
  await world.find();
  assert.equal(world.fetched, 2);
});

test('a policy is refreshed every day while there is mail, and ends where there is none', async () => {
  const world = new World();
  await world.find();
  for (let day = 0; day < 20; day += 1) {
    world.now += DAY_MS + 1;
    await world.policies.refreshAll();
  }
  assert.equal(world.fetched, 21);
  world.now += 11 * DAY_MS;
  await world.policies.refreshAll();
  assert.deepEqual(world.cache.get('example.com', world.now), undefined);
  assert.equal(world.fetched, 21);
  // Nobody has used it for a month.
  assert.deepEqual(world.events, ['sts_policy']);
});

test('a policy that is due is fetched again whatever became of its record', async () => {
  for (const records of [[], [['v=STSv1; id=']], undefined, 'no answer'] as const) {
    const world = new World();
    await world.find();
    if (records === 'no answer') world.lookUp = () => new Promise(() => undefined);
    else world.records = records as string[][] | undefined;
    // By the hour.
    for (let hour = 0; hour < 8 * 24; hour += 1) {
      world.now += 3_600_000;
      await world.policies.refreshAll();
    }
    assert.equal(world.fetched, 8, `${records}`);
    assert.equal(world.cache.get('example.com', world.now)?.mode, 'enforce');
    assert.deepEqual(world.events, ['sts_policy']);
  }
  // By the mail.
  const world = new World();
  await world.find();
  world.records = [];
  world.now += DAY_MS + 1;
  assert.deepEqual(await world.find(), finding(enforce('mx.example.com')));
  while (world.counts.length < 2) await new Promise(setImmediate);
  assert.deepEqual(world.counts, ['fetched', 'fetched']);
});

test('a look-up of the record that fails is counted, and one that finds nothing is not', async () => {
  const world = new World();
  world.records = undefined;
  assert.deepEqual(await world.find(), { kind: 'none' });
  world.records = [];
  assert.deepEqual(await world.find(), { kind: 'none' });
  assert.deepEqual(world.counts, ['dns']);
});

test('a refresh that fails is told with the end of the policy, and so is that end, once', async () => {
  const world = new World();
  await world.find();
  world.published = undefined;
  world.records = [];
  world.now += DAY_MS + 1;
  await world.policies.refreshAll();
  assert.deepEqual(world.told.at(-1), {
    event: 'sts_policy_failed',
    domain: 'example.com',
    cause: 'sts-policy-fetch-error',
    reason: 'no answer',
    heldUntil: '2026-01-08T00:00:00.000Z',
  });
  world.now += 6 * DAY_MS;
  await world.policies.refreshAll();
  await world.policies.refreshAll();
  assert.deepEqual(await world.find(), { kind: 'none' });
  assert.deepEqual(world.events, ['sts_policy', 'sts_policy_failed', 'sts_policy_lapsed']);
  assert.deepEqual(world.told.at(-1), {
    event: 'sts_policy_lapsed',
    domain: 'example.com',
    mode: 'enforce',
    fetchedAt: '2026-01-01T00:00:00.000Z',
  });
  assert.deepEqual(world.counts, ['fetched', 'sts-policy-fetch-error', 'lapsed enforce']);
});

test('of a policy of mode none no failure and no end is told', async () => {
  const world = new World();
  world.published = { mode: 'none', mxPatterns: [], maxAgeSeconds: 2 * 86_400 };
  await world.find();
  world.published = undefined;
  for (let day = 0; day < 3; day += 1) {
    world.now += DAY_MS + 1;
    await world.policies.refreshAll();
  }
  assert.deepEqual(world.events, ['sts_policy']);
});

test('mail for a policy that is due refreshes it without waiting', async () => {
  const world = new World();
  await world.find();
  world.now += DAY_MS + 1;
  const { promise, resolve } = Promise.withResolvers<Fetched>();
  world.fetch = () => promise;
  assert.deepEqual(await world.find(), finding(enforce('mx.example.com')));
  resolve({ kind: 'policy', policy: enforce('new.example.com') });
  while (world.counts.length < 2) await new Promise(setImmediate);
  assert.deepEqual(await world.find(), finding(enforce('new.example.com')));
});

test('what is no domain of a mail host is not looked up', async () => {
  const world = new World();
  for (const domain of ['[192.0.2.1]', 'localhost', 'a b.example', 'a/../b.example', 'x@y.example', ''])
    assert.deepEqual(await world.find(domain), { kind: 'none' });
  assert.equal(world.fetched, 0);
});
