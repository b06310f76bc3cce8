/** Schedules of routes and of providers, in a queue over a real spool. The time is that of the test. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import type { Provider, Retry } from '#crds/policyfile.ts';
import { type AnswerFor, answers, NOBODY, QueueRig, queued } from '#test/kit/queuerig.ts';
import { policyOf, routeTo } from '#test/kit/relayrig.ts';
import { eventually } from '#test/kit/wait.ts';

const MINUTE = 60_000;
const QUICK: Retry = { backoff: { minSeconds: 10, maxSeconds: 60 }, expireAfterSeconds: 900 };
const SLOW: Retry = { backoff: { minSeconds: 300, maxSeconds: 7_200 }, expireAfterSeconds: null };
let rig: QueueRig;

beforeEach(() => {
  rig = new QueueRig();
});
afterEach(() => rig.remove());

const later = makeFailure({ cause: 'reply', status: '4.7.1', text: '451 4.7.1 later' });
const refuse: AnswerFor = (_, parcel) => answers(parcel, () => later);
const providerWith = (retry: Retry | null): Provider => ({
  name: 'big',
  mxHosts: ['*.big.example'],
  limits: { connections: null, messagesPerMinute: null, messagesPerConnection: 100 },
  warmUp: null,
  retry,
});

/** The time until the next attempt, once there was one. */
async function pauseOf(id: string, to: string): Promise<number> {
  const left = () => (rig.manager.findProspect(id, '', queued(to)).due ?? 0) - rig.now;
  await eventually(() => !rig.manager.isDelivering(id) && left() > 0);
  return left();
}

async function restart(answer: AnswerFor, provider?: Provider): Promise<void> {
  await rig.manager.drain(0);
  await rig.begin(answer, policyOf({}, { providers: provider ? [provider] : [] })).start();
}

test('each route has its own pauses, and others have those of the relay', async () => {
  rig.retry = { 'quick.example': QUICK, 'mxslow.example': SLOW };
  const to = ['a@quick.example', 'a@mxslow.example', 'a@hop.example'];
  const id = await rig.enter('me@here.example', to);
  await rig.begin(refuse).start();
  const pauses = await Promise.all(to.map((address) => pauseOf(id, address)));
  assert.deepEqual(pauses, [11_000, 5.5 * MINUTE, MINUTE]);
});

test('a destination that cannot be had is probed by the backoff of its route', async () => {
  rig.retry = { 'mxslow.example': SLOW };
  let tries = 0;
  const id = await rig.enter('', ['a@mxslow.example']);
  await rig
    .begin(() => {
      tries += 1;
      return NOBODY;
    })
    .start();
  const pauses: number[] = [];
  for (let wanted = 1; wanted <= 4; wanted++) {
    await eventually(() => tries === wanted);
    const pause = await pauseOf(id, 'a@mxslow.example');
    pauses.push(pause);
    rig.now += pause;
    rig.manager.hurry(() => true);
  }
  assert.deepEqual(
    pauses.map((ms) => ms / MINUTE),
    [5.5, 10, 25, 50],
  );
});

for (const [what, answer] of [
  ['a recipient that was put off', refuse],
  ['a destination that cannot be had', () => NOBODY],
] as const)
  for (const by of ['route', 'provider'] as const)
    test(`${what}: the schedule of its ${by} goes on after a restart, without a look-up`, async () => {
      const provider = by === 'provider' ? providerWith(SLOW) : undefined;
      if (provider) rig.providers = { 'mx.example': provider };
      else rig.retry = { 'mx.example': SLOW };
      const received = rig.now;
      const id = await rig.enter('', ['a@mx.example']);
      await rig.begin(answer, policyOf({}, { providers: provider ? [provider] : [] })).start();
      await pauseOf(id, 'a@mx.example');
      rig.now = received + 15 * MINUTE;
      rig.manager.hurry(() => true);
      await pauseOf(id, 'a@mx.example');
      // Nobody says any more who serves the domain.
      if (provider) rig.providers = {};
      rig.now += MINUTE;
      await restart(answer, provider);
      assert.equal(await pauseOf(id, 'a@mx.example'), 24 * MINUTE);
    });

test('another backoff lets nothing be tried at once: what waits waits by its age', async () => {
  let tries = 0;
  const answer: AnswerFor = (_, parcel) => {
    tries += 1;
    return answers(parcel, () => later);
  };
  const id = await rig.enter('', ['a@hop.example']);
  await rig.begin(answer).start();
  await pauseOf(id, 'a@hop.example');
  rig.retry = { 'hop.example': SLOW };
  rig.now += 30_000;
  await restart(answer);
  assert.equal(await pauseOf(id, 'a@hop.example'), 5 * MINUTE);
  assert.equal(tries, 1);
});

test('mail expires when its route or its provider says so, each recipient by itself', async () => {
  const provider = providerWith({ backoff: null, expireAfterSeconds: 3_600 });
  rig.retry = { 'quick.example': QUICK };
  rig.providers = { 'mx.example': provider };
  const id = await rig.enter('me@here.example', ['a@quick.example', 'a@mx.example', 'a@hop.example']);
  const left = () => {
    const read = rig.spool.read(id);
    return read.kind === 'message' ? read.record.recipients.map(({ address }) => address) : [];
  };
  const refuseAll: AnswerFor = (destination, parcel) =>
    destination.name === 'here.example' ? answers(parcel) : refuse(destination, parcel);
  const routes = [routeTo(['quick.example'], [], { hosts: null, retry: QUICK })];
  await rig.begin(refuseAll, policyOf({}, { routes, providers: [provider] })).start();
  for (const address of left()) await pauseOf(id, address);
  const seen: string[][] = [];
  for (const minutes of [14, 2, 43, 2]) {
    rig.now += minutes * MINUTE;
    await eventually(() => !rig.manager.isDelivering(id));
    await rig.manager.actions.sweep();
    seen.push(left());
  }
  assert.deepEqual(seen, [
    ['a@quick.example', 'a@mx.example', 'a@hop.example'],
    ['a@mx.example', 'a@hop.example'],
    ['a@mx.example', 'a@hop.example'],
    ['a@hop.example'],
  ]);
});
