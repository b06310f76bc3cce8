/** Limits hold over the end of a router, in a queue over a real spool. The time is that of the test. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import type { Provider } from '#crds/policyfile.ts';
import { type AnswerFor, answers, QueueRig } from '#test/kit/queuerig.ts';
import { policyOf } from '#test/kit/relayrig.ts';
import { eventually } from '#test/kit/wait.ts';

const MINUTE = 60_000;
let rig: QueueRig;
let taken: string[];

beforeEach(() => {
  rig = new QueueRig();
  taken = [];
});
afterEach(() => rig.remove());

const take: AnswerFor = (_, parcel) => {
  taken.push(...parcel.to);
  return answers(parcel);
};
const providerWith = (limits: Partial<Provider['limits']>, warmUp: Provider['warmUp'] = null): Provider => ({
  name: 'big',
  mxHosts: ['*.big.example'],
  limits: { connections: null, messagesPerMinute: null, messagesPerConnection: 100, ...limits },
  warmUp,
  retry: null,
});

/** A new policy. Resolves when what may be delivered now is delivered. */
async function restart(answer: AnswerFor, provider?: Provider): Promise<void> {
  await rig.manager.drain(0);
  await begin(answer, provider);
}

async function begin(answer: AnswerFor, provider?: Provider): Promise<void> {
  if (provider) rig.providers = { 'mxa.example': provider, 'mxb.example': provider };
  // Not limited: when it has arrived, so has what came before.
  const id = await rig.enter('', [`last@hop${taken.length}${rig.now}.example`]);
  await rig.begin(answer, policyOf({}, { providers: provider ? [provider] : [] })).start();
  await eventually(() => rig.spool.read(id).kind === 'gone');
  await eventually(() => !rig.spool.list().some((one) => rig.manager.isDelivering(one)));
}

async function enter(to: string, count: number): Promise<void> {
  for (let index = 0; index < count; index++) await rig.enter('', [to]);
}

const count = (to: string) => taken.filter((one) => one === to).length;

test('the minute of a destination, also when the new policy has another limit or other routes', async () => {
  const limits = (most: number) => ({ connectionsPerDestination: 20, messagesPerDestinationPerMinute: most });
  rig.limits = { 'mxa.example': limits(3) };
  await enter('a@mxa.example', 20);
  await begin(take);
  assert.equal(count('a@mxa.example'), 3);
  rig.now += 30_000;
  await restart(take);
  assert.equal(count('a@mxa.example'), 3);
  rig.limits = { 'mxa.example': limits(5) };
  rig.routes = 'other ';
  await restart(take);
  assert.equal(count('a@mxa.example'), 5);
  rig.now += MINUTE + 1_000;
  await restart(take);
  assert.equal(count('a@mxa.example'), 10);
});

test('the minute of a provider and the hour of its warm-up, over all its domains', async () => {
  const startDate = new Date(rig.now).toISOString().slice(0, 10);
  const big = providerWith({ messagesPerMinute: 3 }, { startDate, days: 30, messagesPerHour: 5 });
  await enter('a@mxa.example', 10);
  await enter('b@mxb.example', 10);
  const all = () => count('a@mxa.example') + count('b@mxb.example');
  await begin(take, big);
  await eventually(() => all() === 3);
  await restart(take, big);
  assert.equal(all(), 3);
  rig.now += MINUTE + 1_000;
  await restart(take, big);
  await eventually(() => all() === 5);
  for (const passed of [MINUTE, 30 * MINUTE]) {
    rig.now += passed;
    await restart(take, big);
    assert.equal(all(), 5);
  }
});

test('a pace that a receiver has halved', async () => {
  const slowDown = makeFailure({ cause: 'reply', status: '4.7.0', text: 'slow down', slowDown: true });
  await enter('a@mxa.example', 1);
  await begin((_, parcel) => answers(parcel, (to) => (to.startsWith('a@') ? slowDown : undefined)));
  const slowed = () =>
    (rig.manager.figures.slowed ?? []).map(({ destination, pace }) => `${destination} ${pace}`);
  assert.deepEqual(slowed(), ['mxa.example 1/2']);
  rig.routes = 'other ';
  await restart(take);
  assert.deepEqual(slowed(), ['mxa.example 1/2']);
  rig.now += 5 * MINUTE;
  await restart(take);
  assert.deepEqual(slowed(), []);
});
