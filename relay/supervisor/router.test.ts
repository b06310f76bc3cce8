/** What the task tells the processes that it has. They are stand-ins; the stories beside this have real ones. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import { policyOf } from '#test/kit/relayrig.ts';
import { eventually } from '#test/kit/wait.ts';
import type { Materials } from '../task/materials.ts';
import type { Handover, ToRouter } from '../task/messages.ts';
import { type RouterDeps, RouterTask, type StartedRouter } from './router.ts';

const DRAIN_MS = 30_000;
const HANDOVER: Handover = { siblings: [], pair: { cert: '', key: '' } };
const nothing = () => undefined;
const DEPS: RouterDeps = {
  stateDir: '/nowhere',
  logFd: 2,
  drainMs: DRAIN_MS,
  clock: () => 0,
  log: nothing,
  onQueue: nothing,
  onCounts: nothing,
  onTaskEnd: nothing,
  onChange: nothing,
};

function standIn(handover: Handover | null): { router: StartedRouter; told: ToRouter[] } {
  const told: ToRouter[] = [];
  const tell = (message: ToRouter) => told.push(message);
  const process = { pid: 1, exited: new Promise(nothing), send: tell, drain: tell, kill: nothing };
  const router = { policy: policyOf(), handover, process, since: 0, before: undefined };
  return { router: router as unknown as StartedRouter, told };
}

test('the next router gets the logins that are refused, also those that the draining one tells of last', async () => {
  const [first, second] = [standIn(null), standIn(null)];
  const ended = Promise.withResolvers<void>();
  Object.assign(first.router.process, { exited: ended.promise });
  const tasks = new RouterTask(DEPS);
  tasks.putInService(first.router);
  tasks.putInService(second.router);
  const failure = makeFailure({ cause: 'login', status: '4.7.8', text: 'no' });
  const refused = { hop: { failure, refusals: 1, since: 1, at: 2, secrets: {} } };
  tasks.heard(first.router.process, { kind: 'refused', refused });
  ended.resolve();
  await eventually(() => second.told.length > 0);
  assert.deepEqual(second.told, [{ kind: 'start', refused }]);
});

function deadlineOfOld(old: Handover | null, next: Handover | null): number | undefined {
  const [first, second] = [standIn(old), standIn(next)];
  const tasks = new RouterTask(DEPS);
  tasks.putInService(first.router);
  tasks.putInService(second.router);
  return first.told.flatMap((message) => (message.kind === 'drain' ? message.deadlineMs : []))[0];
}

test('only a router that gives way to a giver may finish what a next hop keeps for minutes', () => {
  assert.equal(deadlineOfOld(null, HANDOVER), 600_000);
  assert.equal(deadlineOfOld(HANDOVER, HANDOVER), DRAIN_MS);
  assert.equal(deadlineOfOld(HANDOVER, null), DRAIN_MS);
  assert.equal(deadlineOfOld(null, null), DRAIN_MS);
});

test('a pod that stays after all does not wait for minutes for the router that its hand-over gave time', () => {
  const [first, giver, second] = [standIn(null), standIn(HANDOVER), standIn(null)];
  const tasks = new RouterTask(DEPS);
  for (const { router } of [first, giver, second]) tasks.putInService(router);
  const deadlines = [600_000, DRAIN_MS].map((deadlineMs) => ({ kind: 'drain', deadlineMs }));
  assert.deepEqual(
    first.told.filter(({ kind }) => kind === 'drain'),
    deadlines,
  );
});

test('if the next router does not start, the one in service still gets the changed contents', async (t) => {
  const { router, told } = standIn(null);
  const tasks = new RouterTask(DEPS);
  tasks.putInService(router);
  const materials: Materials = { secrets: { login: { password: 'changed' } }, configMaps: {} };
  tasks.useMaterialsForNext(materials);
  const { execPath } = process;
  t.after(() => {
    process.execPath = execPath;
  });
  process.execPath = join(DEPS.stateDir, 'node');
  const started = await tasks.start(policyOf(), null);
  assert.ok('kind' in started && started.kind === 'failed');
  tasks.useMaterials(materials);
  assert.deepEqual(
    told.filter(({ kind }) => kind === 'materials'),
    [{ kind: 'materials', materials }],
  );
});
