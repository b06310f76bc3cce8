/** Policies on disk: they survive a restart, come from a sibling, and a file or folder that is broken stops nothing. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { DAY_MS, enforce, finding, World } from '#test/fixtures/stsworld.ts';
import { PolicyCache } from './cache.ts';
import { CACHE_FILE, keepForRouter, readForSibling } from './handover.ts';
import { printPolicies } from './policiestext.ts';

const dir = mkdtempSync(join(tmpdir(), 'mtasts-'));
after(() => rmSync(dir, { recursive: true, force: true }));

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

test('what a sibling hands over is on disk with its name before the sibling hears so', async (t) => {
  const [stateDir, { open }] = [mkdtempSync(join(dir, 'pod-')), fs];
  const synced: string[] = [];
  const mocked = t.mock.method(fs, 'open', async (path: string, flags?: string) => {
    const file = await open(path, flags);
    const sync = file.sync.bind(file);
    file.sync = () => sync().then(() => void synced.push(path));
    return file;
  });
  syncBuiltinESMExports();
  t.after(() => {
    mocked.mock.restore();
    syncBuiltinESMExports();
  });
  await keepForRouter(stateDir, printPolicies([['a.example', JSON.stringify(entry(1))]]));
  const folder = join(stateDir, `${CACHE_FILE}.handed-over`);
  assert.deepEqual(
    new Set(synced.map((path) => path.replace(/[^/]+\.json\.new$/, 'file'))),
    new Set([stateDir, `${folder}/file`, folder]),
  );
});
