import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { makeFailure } from '#crds/failure.ts';
import { hopTo } from '#test/kit/relayrig.ts';
import { DestinationQueues } from './destinationqueues.ts';
import { Paces } from './paces.ts';
import { SlowDowns } from './slowdowns.ts';

const TURNS = 2_000;
const forever = () => new Promise<never>(() => undefined);

const nobody = makeFailure({ cause: 'connect', status: '4.4.1', text: 'nobody there' });

/**
 * Deliveries whose id begins with "hang" get no answer. Those of "slow" are answered but continue. Those of "busy" take
 * some time. Those of "dead" fail once, and get no answer later. Those of "minute" end as that does.
 */
function rig(minute: () => Promise<void> = forever) {
  const failed = new Set<string>();
  const delivered: string[] = [];
  const queues = new DestinationQueues({
    terms: {
      limits: { connectionsPerDestination: 20, messagesPerDestinationPerMinute: null },
      paces: new Paces(),
      slowDowns: new SlowDowns(),
    },
    clock: () => 1_000_000,
    wall: () => 1_000_000,
    deliver: async (queue, waiting) => {
      const { id } = waiting;
      if (id.startsWith('hang') || failed.has(id)) await forever();
      if (id.startsWith('dead')) {
        failed.add(id);
        const now = 1_000_000;
        queue.unreachable(waiting, {
          ...{ failure: nobody, hadSession: false, pauseMs: () => 0, backoff: null, due: undefined, now },
        });
        return undefined;
      }
      if (id.startsWith('minute')) await minute();
      queue.answered(1_000_000);
      if (id.startsWith('slow')) await forever();
      if (id.startsWith('busy')) await turn();
      delivered.push(id.trim());
      return undefined;
    },
  });
  const add = (name: string, count: number, ids = name) => {
    const hops = [hopTo(25, { host: name })];
    const queue = queues.to({ kind: 'hops', key: name, name, rule: 'a route', hops });
    for (let index = 0; index < count; index++)
      queue.add({ id: `${ids} ${index}`.padEnd(16), share: 'configured', due: 1 }, 1);
    queues.pump(queue);
  };
  const arrived = async (count: number) => {
    for (let turns = 0; delivered.length < count && turns < TURNS; turns++) await turn();
    assert.ok(delivered.length >= count, `${delivered.length}`);
  };
  return { queues, add, arrived, delivered };
}

test('a hundred destinations that hang leave room for one that is new', async () => {
  const { queues, add, arrived } = rig();
  for (let index = 0; index < 100; index++) add(`hang${index}`, 30);
  assert.ok(queues.inFlight > 100, 'each of them is tried');
  add('good', 500);
  await arrived(500);
});

test('however many hang, one that answers goes on, and whoever waits gets its turn', async () => {
  const { queues, add, arrived } = rig();
  add('good', 1, 'slow');
  for (let index = 0; index < 1_000; index++) add(`hang${index}`, 30);
  const hanging = queues.inFlight;
  add('new', 1);
  add('good', 500);
  await arrived(500);
  assert.equal(queues.inFlight, hanging);
});

test('a thousand destinations that have failed leave room for one that is new', async () => {
  const { add, arrived, delivered } = rig();
  for (let index = 0; index < 1_000; index++) add(`dead${index}`, 1);
  for (let turns = 0; turns < 50; turns++) await turn();
  add('good', 1);
  await arrived(1);
  assert.deepEqual(delivered, ['good 0']);
});

test('destinations that have very much to do take turns with others', async () => {
  const { add, arrived, delivered } = rig();
  for (let index = 0; index < 50; index++) add(`busy${index}`, 200);
  await arrived(1_000);
  add('good', 10);
  await arrived(10_010);
  const last = delivered.indexOf('good 9');
  assert.ok(last < 2_500, `${last} others before it`);
});

test('a destination that comes behind ten thousand that hang for a minute each does not wait for all of them', async () => {
  const ends: (() => void)[] = [];
  const { add, delivered } = rig(() => new Promise((resolve) => ends.push(resolve)));
  for (let index = 0; index < 10_000; index++) add(`minute${index}`, 1);
  add('new', 1);
  let minutes = 0;
  while (!delivered.includes('new 0')) {
    minutes += 1;
    for (const end of ends.splice(0)) end();
    await turn();
  }
  assert.equal(minutes, 1);
});
