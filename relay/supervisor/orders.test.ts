/** Orders that fail for a moment only: a port in use, and tasks whose processes cannot be forked. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { hashContent, POLICY_FILE_NAME, type Policy, printPolicy } from '#crds/policyfile.ts';
import { printScale, SCALE_FILE_NAME } from '#crds/scalefile.ts';
import { makePair } from '#test/kit/ca.ts';
import { startPodRelay } from '#test/kit/podrelay.ts';
import { freePort } from '#test/kit/ports.ts';
import { listenerAt, mount, type PodDirs, podDirs, policyOf } from '#test/kit/relayrig.ts';
import { eventually } from '#test/kit/wait.ts';
import type { Relay } from './options.ts';

const pair = await makePair();
const { execPath } = process;
let dirs: PodDirs;
let relay: Relay;
let port: number;
let good: Policy;

beforeEach(async () => {
  dirs = podDirs();
  port = await freePort();
  good = policyOf({ listeners: [listenerAt(port)] });
  mount(dirs.certificateDir, { 'tls.crt': pair.cert, 'tls.key': pair.key });
  mountOrder(printPolicy(good), 2);
  const among = { podName: 'relay-1', port: await freePort() };
  relay = await startPodRelay(dirs, { among, retryMs: 20 });
});
afterEach(async () => {
  process.execPath = execPath;
  await relay.stop();
  dirs.remove();
});

function mountOrder(policy: string, replicas: number): void {
  const siblings = ['127.0.0.4', '127.0.0.5'].slice(0, replicas);
  mount(dirs.policyDir, { [POLICY_FILE_NAME]: policy, [SCALE_FILE_NAME]: printScale(replicas, siblings) });
}

/** The relay runs in this process: while the path is wrong, no task can be forked. */
function forkNothing(): void {
  process.execPath = join(dirs.root, 'no-node');
}
function forkAgain(): void {
  process.execPath = execPath;
}

const refusals = (): string[] =>
  readFileSync(join(dirs.root, 'log'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ event }) => event === 'policy_refused')
    .map(({ message }) => message);
const NOT_FORKED = /ENOENT/;
const notForked = () => refusals().filter((message) => NOT_FORKED.test(message)).length;
const inForce = (policy: Policy) =>
  relay.status().policy.hash === hashContent(policy) && relay.status().policy.refused === null;
const isServing = () => relay.addresses().length > 0;

test('a policy whose tasks did not start is tried again until they do, and each failure is told', async () => {
  const wanted = { ...good, hostname: 'other.example.com' };
  forkNothing();
  mountOrder(printPolicy(wanted), 2);
  await eventually(() => notForked() >= 2);
  const { hash, refused } = relay.status().policy;
  assert.equal(hash, hashContent(good));
  assert.equal(refused?.hash, hashContent(wanted));
  assert.match(refused?.message ?? '', NOT_FORKED);
  forkAgain();
  await eventually(() => inForce(wanted));
  assert.equal(relay.ready(), true);
  const told = refusals().length;
  for (let poll = 0; poll < 3; poll++) await relay.reload();
  assert.equal(refusals().length, told);
});

test('a policy whose port was in use comes into force when the port is free', async () => {
  const second = await freePort();
  const taken = createServer().listen(second, '127.0.0.1');
  await once(taken, 'listening');
  const wanted = policyOf({ listeners: [listenerAt(port), listenerAt(second, { name: 'two' })] });
  mountOrder(printPolicy(wanted), 2);
  await eventually(() => /the port is in use/.test(relay.status().policy.refused?.message ?? ''));
  taken.close();
  await eventually(() => inForce(wanted));
  assert.deepEqual(
    relay.addresses().map((address) => address.port),
    [port, second],
  );
});

test('a newer file wins over the repetition, and an invalid policy is not repeated', async () => {
  forkNothing();
  mountOrder(printPolicy({ ...good, hostname: 'other.example.com' }), 2);
  await eventually(() => notForked() >= 2);
  mountOrder('broken', 2);
  await eventually(() => /not JSON/.test(relay.status().policy.refused?.message ?? ''));
  forkAgain();
  const told = refusals().length;
  for (let poll = 0; poll < 3; poll++) await relay.reload();
  assert.equal(refusals().length, told);
  mountOrder(printPolicy(good), 2);
  await eventually(() => inForce(good));
  assert.deepEqual(relay.status().tasks, { listenerStarts: 1, routerStarts: 1 });
});

test('an evacuation whose giver did not start is tried again, and so is the way back', async () => {
  forkNothing();
  mountOrder(printPolicy(good), 1);
  await eventually(() => notForked() >= 2);
  assert.ok(isServing());
  forkAgain();
  await eventually(() => !isServing() && inForce(good));
  forkNothing();
  const before = notForked();
  mountOrder(printPolicy(good), 2);
  await eventually(() => notForked() >= before + 2);
  assert.ok(!isServing());
  forkAgain();
  await eventually(() => isServing() && relay.ready() && inForce(good));
});

test('beside an invalid policy a failed evacuation is logged and tried again, and the invalid policy is logged once', async () => {
  forkNothing();
  mountOrder('broken', 1);
  await eventually(() => notForked() >= 2);
  assert.match(relay.status().policy.refused?.message ?? '', /not JSON/);
  forkAgain();
  await eventually(() => !isServing());
  assert.equal(refusals().filter((message) => /not JSON/.test(message)).length, 1);
});
