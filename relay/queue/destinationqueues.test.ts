import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { hopTo } from '#test/kit/relayrig.ts';
import { DestinationQueues } from './destinationqueues.ts';
import { Paces } from './paces.ts';
import { SlowDowns } from './slowdowns.ts';

const TURNS = 2_000;
const forever = () => new Promise<never>(() => undefined);

/**
 * Deliveries whose id begins with "hang" get no answer. Those of "slow" are answered but continue. Those of "busy" take
 * some time.
 */
function rig() {
  const delivered: string[] = [];
  const queues = new DestinationQueues({
    terms: {
      limits: { connectionsPerDestination: 20, messagesPerDestinationPerMinute: null },
      paces: new Paces(),
      slowDowns: new SlowDowns(),
    },
    clock: () => 1_000_000,
    wall: () => 1_000_000,
    deliver: async (queue, { id }) => {
      if (id.startsWith('hang')) await forever();
      queue.answered(1_000_000);
      if (id.startsWith('slow')) await forever();
      if (id.startsWith('busy')) await turn();
      delivered.push(id.trim());
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

test('destinations that have very much to do take turns with others', async () => {
  const { add, arrived, delivered } = rig();
  for (let index = 0; index < 50; index++) add(`busy${index}`, 200);
  await arrived(1_000);
  add('good', 10);
  await arrived(10_010);
  const last = delivered.indexOf('good 9');
  assert.ok(last < 2_500, `${last} others before it`);
});
