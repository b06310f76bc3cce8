import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import { PolicyCache } from './cache.ts';
import type { Fetched } from './fetch.ts';
import { CACHE_FILE, keepForRouter, readForSibling } from './handover.ts';
import { StsPolicies } from './policies.ts';
import { printPolicies } from './policiestext.ts';
import type { StsPolicy } from './policy.ts';

const DAY_MS = 24 * 3_600_000;
const dir = mkdtempSync(join(tmpdir(), 'mtasts-'));
after(() => rmSync(dir, { recursive: true, force: true }));

const enforce = (...mxPatterns: string[]): StsPolicy => ({
  mode: 'enforce',
  mxPatterns,
  maxAgeSeconds: 7 * 86_400,
});
const finding = (policy: StsPolicy) => ({ kind: 'policy', ...policy });
const failure = makeFailure({ cause: 'sts-policy-fetch-error', status: '4.7.5', text: 'no answer' });

/** A domain that the test changes, and what was asked of it. */
class World {
  now = Date.parse('2026-01-01T00:00:00Z');
  records: string[][] | Error = [['v=STSv1; id=1']];
  published: StsPolicy | undefined = enforce('mx.example.com');
  fetched = 0;
  readonly events: string[] = [];
  readonly told: object[] = [];
  readonly counts: string[] = [];
  readonly cache: PolicyCache;
  readonly policies: StsPolicies;

  constructor(cache = new PolicyCache(null)) {
    this.cache = cache;
    this.policies = new StsPolicies({
      lookUpTxt: () => this.lookUp(),
      fetch: async (domain, signal) => this.fetch(domain, signal),
      cache,
      wall: () => this.now,
      log: (event, fields) => {
        this.events.push(event);
        this.told.push({ event, ...fields });
      },
      count: (result) => this.counts.push(result),
      countLapse: (mode) => this.counts.push(`lapsed ${mode}`),
    });
    after(() => this.policies.close());
  }

  lookUp: () => Promise<readonly string[][]> = async () => {
    if (this.records instanceof Error) throw this.records;
    return this.records;
  };

  fetch: (domain: string, signal: AbortSignal) => Promise<Fetched> = async () => {
    this.fetched += 1;
    return this.published ? { kind: 'policy', policy: this.published } : { kind: 'failed', failure };
  };

  find(domain = 'example.com', left?: AbortSignal) {
    return this.policies.find(domain, left);
  }
}

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
  for (const records of [
    [],
    [['v=STSv1; id=']],
    [['v=STSv1; id=1'], ['v=STSv1; id=2']],
    new Error('SERVFAIL'),
  ]) {
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
  for (const records of [[], [['v=STSv1; id=']], new Error('SERVFAIL'), 'no answer'] as const) {
    const world = new World();
    await world.find();
    if (records === 'no answer') world.lookUp = () => new Promise(() => undefined);
    else world.records = records as string[][] | Error;
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
  world.records = new Error('SERVFAIL');
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

test('policies of a sibling count before the first look-up, the newer of two, and stay after a restart', async () => {
  const stateDir = mkdtempSync(join(dir, 'pod-'));
  const path = join(stateDir, CACHE_FILE);
  const open = () => new PolicyCache({ path, onError: assert.fail });
  const held = (domain: string, fetchedAt: number, pattern: string) =>
    printPolicies([[domain, JSON.stringify({ ...enforce(pattern), id: '1', fetchedAt, usedAt: fetchedAt })]]);
  const world = new World(open());
  world.records = [];
  const { now } = world;
  world.cache.set('ours.example', { ...enforce('ours'), id: '1', fetchedAt: now, usedAt: now });
  await keepForRouter(stateDir, held('ours.example', now - 1, 'older'));
  await keepForRouter(stateDir, held('theirs.example', now - 1, 'theirs'));
  await keepForRouter(stateDir, held('over.example', now - 7 * DAY_MS, 'over'));
  assert.deepEqual(await world.find('theirs.example'), finding(enforce('theirs')));
  assert.deepEqual(await world.find('ours.example'), finding(enforce('ours')));
  assert.deepEqual(await world.find('over.example'), { kind: 'none' });
  await keepForRouter(stateDir, held('ours.example', now + 1, 'newer'));
  assert.deepEqual(await world.find('ours.example'), finding(enforce('newer')));
  await world.policies.close();
  assert.deepEqual(readdirSync(stateDir), [CACHE_FILE]);
  assert.deepEqual(open().get('theirs.example', now)?.mxPatterns, ['theirs']);
  // A router that ends before it takes them in leaves them to the next one.
  await keepForRouter(stateDir, held('late.example', now, 'late'));
  const next = new World(open());
  next.records = [];
  assert.deepEqual(await next.find('late.example'), finding(enforce('late')));
  // A reader takes them in too, and changes no file.
  await keepForRouter(stateDir, held('last.example', now, 'last'));
  const before = readdirSync(stateDir);
  const given = readForSibling(stateDir, now, assert.fail) ?? '';
  for (const domain of ['late.example', 'last.example']) assert.ok(given.includes(`"${domain}"`), given);
  assert.deepEqual(readdirSync(stateDir), before);
  assert.equal(readForSibling(stateDir, now + 8 * DAY_MS, assert.fail), null);
  assert.equal(readForSibling(join(stateDir, 'gone'), now, assert.fail), null);
});

test('what a receiver that was killed did not finish goes when the router begins, and not by a reader', async () => {
  const stateDir = mkdtempSync(join(dir, 'pod-'));
  const path = join(stateDir, CACHE_FILE);
  const folder = `${path}.handed-over`;
  const held = JSON.stringify({ ...enforce('a'), id: '1', fetchedAt: 1, usedAt: 1 });
  assert.equal(await keepForRouter(stateDir, printPolicies([['a.example', held]])), 1);
  const whole = readdirSync(folder);
  writeFileSync(join(folder, 'killed.json.new'), '{"half');
  new PolicyCache({ path, onError: assert.fail, isReadOnly: true });
  assert.deepEqual(readdirSync(folder).length, whole.length + 1);
  new PolicyCache({ path, onError: assert.fail });
  assert.deepEqual(readdirSync(folder), whole);
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

test('what is no domain of a mail host is not looked up', async () => {
  const world = new World();
  for (const domain of ['[192.0.2.1]', 'localhost', 'a b.example', 'a/../b.example', 'x@y.example', ''])
    assert.deepEqual(await world.find(domain), { kind: 'none' });
  assert.equal(world.fetched, 0);
});

const entry = (at: number) => ({ ...enforce('mx.example.com'), id: '1', fetchedAt: at, usedAt: at });

test('the cache survives a restart, in its order and within its bounds', async () => {
  const path = join(dir, 'kept.json');
  const errors: Error[] = [];
  const file = { path, onError: (error: Error) => void errors.push(error) };
  const first = new PolicyCache(file);
  for (let index = 0; index < 10_010; index += 1) {
    first.set(`d${index}.example`, entry(5));
    if (index % 1_000 === 0) first.use('d0.example', 5);
  }
  await first.close();
  const second = new PolicyCache(file);
  assert.equal(second.domains.length, 10_000);
  assert.deepEqual(second.get('d0.example', 5), entry(5));
  assert.equal(second.get('d1.example', 5), undefined);
  assert.deepEqual(second.domains, first.domains);
  assert.deepEqual(errors, []);
  // Large policies count by their size.
  const large = {
    ...entry(5),
    mxPatterns: Array.from({ length: 900 }, (_, index) => `${index}.${'x'.repeat(60)}`),
  };
  for (let index = 0; index < 1_000; index += 1) second.set(`large${index}.example`, large);
  await second.close();
  assert.ok(readFileSync(path).length < 9 * 1024 * 1024);
  assert.ok(new PolicyCache(file).domains.length > 50);
});

test('a file that is no cache is told and replaced', async () => {
  const path = join(dir, 'broken.json');
  for (const text of ['', '{', 'null', '[]', '{"format":1}', '{"format":2,"policies":{}}']) {
    writeFileSync(path, text);
    const cache = new PolicyCache({ path, onError: () => undefined });
    assert.deepEqual(cache.domains, []);
    cache.set('example.com', entry(5));
    await cache.close();
    assert.deepEqual(new PolicyCache({ path, onError: assert.fail }).domains, ['example.com']);
  }
  const policies = { good: entry(5), bad: { ...entry(5), mxPatterns: 'x' }, worse: null };
  writeFileSync(path, JSON.stringify({ format: 1, policies }));
  assert.deepEqual(new PolicyCache({ path, onError: assert.fail }).domains, ['good']);
});

test('a folder that cannot be written leaves the cache in memory', async () => {
  const errors: Error[] = [];
  const cache = new PolicyCache({
    path: join(dir, 'no', 'folder'),
    onError: (error) => void errors.push(error),
  });
  cache.set('example.com', entry(5));
  await cache.close();
  assert.equal(errors.length, 1);
  assert.deepEqual(cache.domains, ['example.com']);
});
