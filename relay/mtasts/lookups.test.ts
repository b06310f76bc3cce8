/** Look-ups of policies at the same time: they take turns, and one that never ends keeps no other from its turn. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DAY_MS, enforce, failure, finding, World } from '#test/fixtures/stsworld.ts';
import type { Fetched } from './fetch.ts';

test('one look-up serves all who ask, and only some fetch at a time', async () => {
  const world = new World();
  const waiting: PromiseWithResolvers<Fetched>[] = [];
  world.fetch = () => {
    const one = Promise.withResolvers<Fetched>();
    waiting.push(one);
    return one.promise;
  };
  const names = Array.from({ length: 120 }, (_, index) => `d${index}.example`);
  const asked = names.flatMap((domain) => [world.find(domain), world.find(domain)]);
  let most = 0;
  for (let answered = 0; answered < names.length; ) {
    await new Promise(setImmediate);
    most = Math.max(most, waiting.length);
    answered += waiting.length;
    for (const one of waiting.splice(0)) one.resolve({ kind: 'policy', policy: enforce('mx.example.com') });
  }
  assert.equal((await Promise.all(asked)).length, 240);
  assert.equal(world.counts.length, 120);
  assert.equal(most, 50);
});

const NEVER = () => new Promise<never>(() => undefined);
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('fetches that never end keep no slot, and a domain that waited for one is held to its policy', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const world = new World();
  const fetchWell = world.fetch;
  world.fetch = NEVER;
  const stuck = Array.from({ length: 60 }, (_, index) => world.find(`d${index}.evil.example`));
  await turn();
  world.fetch = fetchWell;
  const good = world.find('good.example');
  for (const _ of [1, 2]) {
    await turn();
    context.mock.timers.tick(30_000);
  }
  assert.deepEqual(await good, finding(enforce('mx.example.com')));
  for (const one of stuck.slice(0, 50)) assert.equal((await one).kind, 'failed');
});

/** Fetches that hang, by domain. Each ends with its signal alone. */
function hang(world: World): Map<string, PromiseWithResolvers<Fetched>> {
  const open = new Map<string, PromiseWithResolvers<Fetched>>();
  world.fetch = (domain, signal) => {
    const one = Promise.withResolvers<Fetched>();
    open.set(domain, one);
    signal.addEventListener('abort', () => {
      open.delete(domain);
      one.resolve({ kind: 'failed', failure });
    });
    return one.promise;
  };
  return open;
}
const manyNames = (count: number) => Array.from({ length: count }, (_, index) => `d${index}.example`);

test('look-ups that nobody waits for any more keep no other from its turn', async () => {
  const world = new World();
  const open = hang(world);
  const names = manyNames(200);
  const asking = names.map(() => new AbortController());
  const stale = names.map((domain, index) => world.find(domain, asking[index]?.signal));
  await turn();
  assert.equal(open.size, 50);
  for (const one of asking.toReversed()) one.abort();
  await turn();
  // They may go on where nobody wants their slots.
  assert.equal(open.size, 50);
  for (const [index, left] of [new AbortController().signal, undefined].entries()) {
    const domain = `good${index}.example`;
    const good = world.find(domain, left);
    await turn();
    assert.deepEqual([open.size, open.has(domain)], [50, true]);
    open.get(domain)?.resolve({ kind: 'policy', policy: enforce('mx.example.com') });
    open.delete(domain);
    assert.deepEqual(await good, finding(enforce('mx.example.com')));
  }
  for (const one of open.values()) one.resolve({ kind: 'failed', failure });
  const kinds = (await Promise.all(stale)).map(({ kind }) => kind);
  assert.deepEqual([kinds.filter((kind) => kind === 'failed').length, kinds.length], [49, 200]);
  // Who was given up is neither late nor a failure.
  assert.equal(world.counts.length, 51);
});

test('slots go from those who left to those who wait already', async () => {
  const world = new World();
  const open = hang(world);
  const asking = new AbortController();
  for (const domain of manyNames(50)) void world.find(domain, asking.signal);
  await turn();
  void world.find('good.example');
  await turn();
  assert.equal(open.has('good.example'), false);
  asking.abort();
  await turn();
  assert.equal(open.has('good.example'), true);
});

test('a look-up goes on while one asker waits, and another may come to it', async () => {
  const world = new World();
  const open = hang(world);
  const [first, second, third] = [1, 2, 3].map(() => new AbortController()) as [
    AbortController,
    AbortController,
    AbortController,
  ];
  const answers = [first, second].map(({ signal }) => world.find('good.example', signal));
  await turn();
  for (const one of [first, second]) one.abort();
  answers.push(world.find('good.example', third.signal));
  // Takes all slots, and one more.
  for (const domain of manyNames(60)) void world.find(domain);
  await turn();
  assert.equal(open.has('good.example'), true);
  open.get('good.example')?.resolve({ kind: 'policy', policy: enforce('mx.example.com') });
  for (const answer of answers) assert.deepEqual(await answer, finding(enforce('mx.example.com')));
  assert.deepEqual(world.counts, ['fetched']);
});

test('who asks again after its look-up was given up begins a new one at once', async () => {
  const world = new World();
  const open = hang(world);
  const all = manyNames(50);
  const asking = all.map(() => new AbortController());
  for (const [index, domain] of all.entries()) void world.find(domain, asking[index]?.signal);
  const again = new AbortController();
  const waiting = world.find('good.example', again.signal);
  await turn();
  again.abort();
  const good = world.find('good.example');
  assert.equal((await waiting).kind, 'unasked');
  asking[0]?.abort();
  await turn();
  open.get('good.example')?.resolve({ kind: 'policy', policy: enforce('mx.example.com') });
  assert.deepEqual(await good, finding(enforce('mx.example.com')));
});

test('a domain whose fetch never ends keeps no other from its refresh', async (context) => {
  const world = new World();
  const names = ['evil.example', ...Array.from({ length: 30 }, (_, index) => `d${index}.example`)];
  for (const domain of names) await world.find(domain);
  const before = world.fetched;
  world.now += DAY_MS + 1;
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { fetch } = world;
  let asked = 0;
  world.fetch = (...terms) => (asked++ === 0 ? NEVER() : fetch(...terms));
  const swept = world.policies.refreshAll();
  await turn();
  assert.equal(world.fetched - before, 30);
  context.mock.timers.tick(30_000);
  await swept;
});

test('a record that is not looked up in time is no absence of a policy: the mail waits, or a held policy counts', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const world = new World();
  await world.find('held.example');
  world.lookUp = NEVER;
  const [unknown, held] = [world.find('new.example'), world.find('held.example')];
  await turn();
  context.mock.timers.tick(30_000);
  assert.deepEqual(await held, finding(enforce('mx.example.com')));
  context.mock.timers.tick(5 * 60_000);
  const found = await unknown;
  assert.equal(found.kind === 'unasked' && found.failure.cause, 'dns');
  assert.deepEqual(world.counts, ['fetched', 'late', 'late']);
});

test('a record that waits long for its turn is read, and its policy counts', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const world = new World();
  const { promise, resolve } = Promise.withResolvers<string[][]>();
  world.lookUp = () => promise;
  const found = world.find();
  await turn();
  context.mock.timers.tick(4 * 60_000);
  resolve([['v=STSv1; id=1']]);
  assert.deepEqual(await found, finding(enforce('mx.example.com')));
});

test('a look-up that the end of the process ends is no absence of a policy', async () => {
  const world = new World();
  world.lookUp = NEVER;
  const found = world.find();
  await world.policies.close();
  assert.equal((await found).kind, 'unasked');
  assert.deepEqual(world.counts, []);
});
