/** The limits of a provider hold over all its destinations, which take turns. Time and timers are those of the test. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import type { Provider } from '#crds/policyfile.ts';
import fc from '#test/kit/property.ts';
import type { Destination } from '../delivery/courier.ts';
import { DestinationQueues } from './destinationqueues.ts';
import { Paces } from './paces.ts';
import { SlowDowns } from './slowdowns.ts';

const MINUTE = 60_000;
const SLOW_DOWN = makeFailure({ cause: 'reply', status: '4.7.0', text: 'slow down', slowDown: true });

beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'Date'] }));
afterEach(() => mock.timers.reset());

function providerWith(limits: Partial<Provider['limits']>, name = 'big'): Provider {
  const none = { connections: null, messagesPerMinute: null, messagesPerConnection: 100 };
  return { name, mxHosts: ['*.big.example'], limits: { ...none, ...limits }, warmUp: null, retry: null };
}

function mxTo(domain: string): Destination {
  const egress = { sourceAddresses: [], socksProxy: null };
  const tls = { tlsLevel: 'Opportunistic', minTlsVersion: 'TLSv1.2' } as const;
  return { kind: 'mx', key: domain, name: domain, domain, rule: 'MX', ...egress, ...tls };
}

interface Delivered {
  readonly domain: string;
  readonly at: number;
}

/** Each delivery takes this long. `find`: the provider of a domain. */
function rig(
  find: (domain: string) => Provider | 'unknown' | undefined,
  deliveryMs: () => number = () => 10,
  mayAsk: (at: number) => boolean = () => false,
  waitForNames: () => Promise<void> | undefined = () => undefined,
) {
  const delivered: Delivered[] = [];
  const looked: string[] = [];
  const now = { underWay: 0, most: 0 };
  let added = 0;
  const clock = () => Date.now();
  const queues = new DestinationQueues({
    terms: {
      limits: { connectionsPerDestination: 20, messagesPerDestinationPerMinute: null },
      paces: new Paces(),
      slowDowns: new SlowDowns(),
    },
    clock,
    wall: clock,
    findProvider: async ({ name }) => {
      looked.push(name);
      await waitForNames();
      const provider = find(name);
      if (provider === 'unknown') return { kind: 'unknown' };
      return provider ? { kind: 'provider', provider } : { kind: 'none' };
    },
    deliver: async (queue) => {
      delivered.push({ domain: queue.destination.name, at: clock() });
      now.underWay += 1;
      now.most = Math.max(now.most, now.underWay);
      await new Promise((resolve) => setTimeout(resolve, deliveryMs()));
      now.underWay -= 1;
      if (mayAsk(clock())) queue.slowDown(SLOW_DOWN, clock());
      queue.answered(clock());
    },
  });
  const add = (domain: string, count: number, due = 1) => {
    const queue = queues.to(mxTo(domain));
    for (let index = 0; index < count; index++)
      queue.add({ id: `${added++}`.padStart(16, '0'), share: 'other', due }, clock());
    queues.pump(queue);
  };
  return { queues, add, delivered, looked, now };
}

/** Lets time pass, in steps so small that each timer has its own. */
async function pass(ms: number, step = 10): Promise<void> {
  for (let passed = 0; passed < ms; passed += step) {
    await turns();
    mock.timers.tick(step);
  }
  await turns();
}

/** All that can go on without a timer does. */
async function turns(): Promise<void> {
  for (let index = 0; index < 20; index++) await Promise.resolve();
}

function mostWithin(windowMs: number, delivered: readonly Delivered[]): number {
  return Math.max(
    0,
    ...delivered.map(({ at }) => delivered.filter((one) => one.at > at - windowMs && one.at <= at).length),
  );
}

test('thousands of domains of one provider share its connections and its messages per minute', async () => {
  const { add, delivered, now } = rig(() => providerWith({ connections: 3, messagesPerMinute: 100 }));
  for (let index = 0; index < 5_000; index++) add(`d${index}.example`, 1);
  await pass(3 * MINUTE, 100);
  assert.equal(now.most, 3);
  assert.equal(mostWithin(MINUTE, delivered), 100);
  assert.ok(delivered.length >= 300, `${delivered.length}`);
  assert.equal(new Set(delivered.map(({ domain }) => domain)).size, delivered.length);
});

test('the domains of a provider take turns, whoever has more mail', async () => {
  const { add, delivered } = rig(() => providerWith({ connections: 1 }));
  add('much.example', 50);
  await pass(20);
  for (const domain of ['a.example', 'b.example']) add(domain, 3);
  const from = delivered.length;
  await pass(200);
  const order = delivered.slice(from, from + 9).map(({ domain }) => domain[0]);
  assert.deepEqual(order.toSorted(), ['a', 'a', 'a', 'b', 'b', 'b', 'm', 'm', 'm']);
  assert.equal(delivered.length > 20, true);
});

test('other domains, and another provider, do not wait for a provider that is slow', async () => {
  const slow = providerWith({ connections: 1 });
  const other = providerWith({ connections: 1 }, 'other');
  const { add, delivered } = rig(
    (domain) => (domain.startsWith('slow') ? slow : domain.startsWith('other') ? other : undefined),
    () => 1_000,
  );
  for (let index = 0; index < 500; index++) add(`slow${index}.example`, 2);
  add('other.example', 1);
  add('free.example', 5);
  await pass(20);
  const count = (name: string) => delivered.filter(({ domain }) => domain.startsWith(name)).length;
  assert.deepEqual([count('slow'), count('other'), count('free')], [1, 1, 5]);
});

test('a domain that moves to another provider is found again after some minutes, and until then each is asked once', async () => {
  const providers = [providerWith({ messagesPerMinute: 1 }), undefined];
  const { add, delivered, looked } = rig(() => providers[0]);
  add('a.example', 30);
  await pass(4.5 * MINUTE, 1_000);
  assert.deepEqual([looked.length, delivered.length], [1, 5]);
  providers.shift();
  await pass(6 * MINUTE, 1_000);
  assert.deepEqual([looked.length, delivered.length], [2, 30]);
});

test('a name server that is away lifts no limit, and is asked again soon', async () => {
  let found: Provider | 'unknown' | undefined = providerWith({ messagesPerMinute: 1 });
  const { add, delivered, looked } = rig(() => found);
  add('a.example', 60);
  await pass(9.5 * MINUTE, 1_000);
  found = 'unknown';
  await pass(5 * MINUTE, 1_000);
  assert.equal(mostWithin(MINUTE, delivered), 1);
  assert.ok(looked.length > 5, `${looked.length}`);
  found = undefined;
  await pass(2 * MINUTE, 1_000);
  assert.equal(delivered.length, 60);
});

test('a domain is not stopped while its provider is looked up again', async () => {
  let isAway = false;
  const forever = new Promise<never>(() => undefined);
  const { delivered, add } = rig(
    () => undefined,
    undefined,
    undefined,
    () => (isAway ? forever : undefined),
  );
  add('a.example', 1);
  await pass(11 * MINUTE, 1_000);
  isAway = true;
  add('a.example', 5, Date.now());
  await pass(MINUTE, 1_000);
  assert.equal(delivered.length, 6);
});

test('in a warm-up no hour has more messages than its day allows, over all domains', async () => {
  const day = 24 * 60 * MINUTE;
  const warmUp = { startDate: '1970-01-01', days: 2, messagesPerHour: 5 };
  const provider = { ...providerWith({ messagesPerMinute: 3 }), warmUp };
  const { add, delivered } = rig(() => provider);
  for (let index = 0; index < 3_000; index++) add(`d${index}.example`, 1);
  const until = async (time: number) => pass(time - Date.now(), MINUTE);
  const count = (from: number, to: number) => delivered.filter(({ at }) => at >= from && at < to).length;
  await until(2 * 60 * MINUTE);
  assert.equal(mostWithin(60 * MINUTE, delivered), 5);
  await until(day + 60 * MINUTE);
  assert.equal(count(day, day + 59 * MINUTE), 30);
  await until(2 * day + 60 * MINUTE);
  assert.equal(mostWithin(MINUTE, delivered), 3);
  assert.ok(count(2 * day, 2 * day + 60 * MINUTE) > 150);
});

test('where one domain of a provider is asked for fewer messages, all get half of its pace, and later the whole again', async () => {
  const { add, delivered } = rig(
    () => providerWith({ messagesPerMinute: 20 }),
    () => 10,
    (at) => at < MINUTE,
  );
  for (let index = 0; index < 400; index++) add(`d${index}.example`, 1);
  await pass(12 * MINUTE, 1_000);
  const count = (minute: number) => delivered.filter(({ at }) => Math.floor(at / MINUTE) === minute).length;
  assert.equal(count(0), 20);
  assert.equal(count(2), 10);
  assert.equal(count(4), 10);
  assert.equal(count(10), 20);
});

test('whatever comes when, and however long it takes: no limit is passed, and nothing waits for ever', async () => {
  const limits = fc.record({
    connections: fc.option(fc.integer({ min: 1, max: 4 })),
    messagesPerMinute: fc.option(fc.integer({ min: 1, max: 30 })),
  });
  const arrival = fc.record({
    domain: fc.integer({ min: 0, max: 5 }),
    count: fc.integer({ min: 1, max: 5 }),
    pause: fc.integer({ min: 0, max: 5_000 }),
    later: fc.integer({ min: 0, max: 5_000 }),
    takes: fc.integer({ min: 1, max: 10_000 }),
  });
  const property = fc.asyncProperty(
    limits,
    fc.array(arrival, { maxLength: 20 }),
    async (wanted, arrivals) => {
      let takes = 1;
      const provider = providerWith(wanted);
      const { add, delivered, now } = rig(
        () => provider,
        () => takes,
      );
      let sent = 0;
      for (const { domain, count, pause, later, takes: ms } of arrivals) {
        takes = ms;
        add(`d${domain}.example`, count, Date.now() + later);
        sent += count;
        await pass(pause, 500);
      }
      await pass(sent * (MINUTE + 10_000), 5_000);
      assert.equal(delivered.length, sent);
      assert.ok(now.most <= (wanted.connections ?? sent));
      assert.ok(mostWithin(MINUTE, delivered) <= (wanted.messagesPerMinute ?? sent));
    },
  );
  await fc.assert(property, { numRuns: 30 });
});
