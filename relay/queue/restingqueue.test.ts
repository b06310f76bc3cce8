import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Failure, makeFailure } from '#crds/failure.ts';
import fc from '#test/kit/property.ts';
import { hopTo } from '#test/kit/relayrig.ts';
import type { Destination } from '../delivery/courier.ts';
import { failureFromReply } from '../delivery/verdict.ts';
import { newQueueId } from '../spool/record.ts';
import type { DestinationQueue } from './destinationqueue.ts';
import { DestinationQueues } from './destinationqueues.ts';
import { Paces } from './paces.ts';
import { QueuePacker } from './restingqueue.ts';
import { SlowDowns } from './slowdowns.ts';
import type { Waiting } from './waiting.ts';

type MxDestination = Destination & { readonly kind: 'mx' };

const toMx = (domain: string, rule = 'outbound.tls (MX)'): MxDestination => ({
  kind: 'mx',
  key: `${domain} Opportunistic`,
  name: domain,
  rule,
  domain,
  tlsLevel: 'Opportunistic',
  minTlsVersion: 'TLSv1.2',
  sourceAddresses: [],
  socksProxy: null,
});

const failureOf = fc.oneof(
  fc.string({ unit: 'grapheme' }).map((text) => makeFailure({ cause: 'dns', status: '4.4.3', text })),
  fc.string({ unit: 'grapheme' }).map((text) => failureFromReply(451, `451 4.7.1 ${text}`, 'RCPT TO')),
);

test('a packed queue is unpacked as it was', () => {
  const packer = new QueuePacker();
  const health = fc.record(
    {
      failures: fc.nat(),
      answers: fc.nat(),
      answeredAt: fc.integer(),
      awayMs: fc.nat(),
      pausedUntil: fc.nat(),
      failedAt: fc.integer({ min: -1 }),
      failure: fc.option(failureOf, { nil: undefined }),
      failingSince: fc.option(fc.nat(), { nil: undefined }),
      keepsMailUntil: fc.oneof(fc.nat(), fc.constant(Number.POSITIVE_INFINITY)),
    },
    { noNullPrototype: true },
  );
  const resting = fc
    .record({
      destination: fc
        .tuple(fc.domain(), fc.constantFrom('a', 'b'))
        .map(([domain, rule]) => toMx(domain, rule)),
      id: fc.nat().map(newQueueId),
      due: fc.nat(),
      isDeferred: fc.boolean(),
      isAway: fc.boolean(),
      health,
      wakeAt: fc.oneof(fc.nat(), fc.constant(Number.POSITIVE_INFINITY)),
    })
    .map(({ id, due, isDeferred, isAway, ...rest }) => ({
      ...rest,
      waiting: {
        ...{ id, due },
        ...(isDeferred && rest.health.failure ? { failure: rest.health.failure } : {}),
        ...(isAway ? { isAway } : {}),
      },
    }));
  fc.assert(
    fc.property(resting, (queue) => {
      assert.deepEqual(packer.unpack(queue.destination.key, packer.pack(queue)), queue);
    }),
  );
});

type Step =
  | {
      readonly kind: 'message';
      readonly to: number;
      readonly answers: readonly Answer[];
      readonly owes: number;
    }
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'hurry'; readonly to: number }
  | { readonly kind: 'retry'; readonly messages: readonly number[] };
type Answer = 'taken' | 'deferred' | 'away' | 'broken';

const steps = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('message' as const),
      to: fc.nat(5),
      answers: fc.array(fc.constantFrom<Answer>('taken', 'deferred', 'away', 'broken'), { maxLength: 6 }),
      owes: fc.constantFrom(0, 0, 5_000),
    }),
    fc.record({ kind: fc.constant('time' as const), ms: fc.constantFrom(1, 500, 1_000, 7_000, 60_000) }),
    fc.record({ kind: fc.constant('hurry' as const), to: fc.nat(5) }),
    fc.record({ kind: fc.constant('retry' as const), messages: fc.array(fc.nat(30), { minLength: 1 }) }),
  ),
  { minLength: 10, maxLength: 60, size: 'max' },
);

const answer = (queue: DestinationQueue, waiting: Waiting, kind: Answer, now: number) => {
  const failure: Failure = makeFailure({ cause: 'connect', status: '4.4.1', text: `${kind} ${waiting.id}` });
  if (kind === 'taken' || kind === 'deferred') queue.answered(now);
  if (kind === 'taken') return queue.settled();
  queue.fails(now);
  if (kind === 'deferred') return queue.putOff(waiting, now + 5_000, failure);
  const hadSession = kind === 'broken';
  const pauseMs = (failures: number) => failures * 1_000;
  queue.unreachable(waiting, {
    failure,
    hadSession,
    backoff: null,
    pauseMs,
    due: hadSession ? now + 3_000 : undefined,
    now,
  });
};

const toId = (index: number) => `m${index}`.padEnd(16);

/** Everything that can be seen of the queues after each step. */
async function play(to: (index: number) => Destination, script: readonly Step[]): Promise<unknown[]> {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const seen: unknown[] = [];
  const left = new Map<string, Answer[]>();
  const queues = new DestinationQueues({
    terms: {
      limits: { connectionsPerDestination: 2, messagesPerDestinationPerMinute: 8 },
      paces: new Paces(),
      slowDowns: new SlowDowns(),
    },
    clock: Date.now,
    wall: Date.now,
    deliver: async (queue, waiting) => {
      seen.push(`${Date.now()} ${waiting.id}`);
      await turn();
      answer(queue, waiting, left.get(waiting.id)?.shift() ?? 'taken', Date.now());
    },
  });
  mock.timers.tick(1_000);
  for (const [index, step] of script.entries()) {
    if (step.kind === 'time') mock.timers.tick(step.ms);
    else if (step.kind === 'retry') queues.hurry(new Set(step.messages.map(toId)));
    else if (step.kind === 'hurry')
      queues.hurry(
        ({ name }) =>
          () =>
            name === to(step.to).name,
      );
    else {
      const id = toId(index);
      left.set(id, [...step.answers]);
      const queue = queues.to(to(step.to));
      queue.learnAway(step.owes);
      const isAway = step.owes > 0;
      queue.add(
        { id, share: 'other', due: Date.now() + step.owes, ...(isAway ? { isAway } : {}) },
        Date.now(),
      );
      queues.pump(queue);
    }
    for (let turns = 0; turns < 8; turns++) await turn();
    const now = Date.now();
    seen.push([...queues.failures()], queues.blocked);
    seen.push(queues.waits(3).map(({ configured: _, ...wait }) => wait));
    for (const id of left.keys())
      for (let at = 0; at <= 5; at++) {
        const queue = queues.known(to(at));
        seen.push([queue?.findDue(id, now), queue?.failureFor(id), queue?.mayExpire(id, now)]);
      }
  }
  queues.stop();
  mock.timers.reset();
  return seen;
}

test('a queue that is packed whenever it rests does what one does that is never packed', async () => {
  const domain = (index: number) => `d${index}.example`;
  const toHop = (index: number): Destination => {
    const hops = [hopTo(25, { host: domain(index) })];
    return { kind: 'hops', key: domain(index), name: domain(index), rule: 'a route', hops };
  };
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const packed = await play((index) => toMx(domain(index)), script);
      assert.deepEqual(packed, await play(toHop, script));
    }),
    { numRuns: 40 },
  );
});

test('of very many queues at rest, a retry of few messages unpacks few', (context) => {
  const queues = new DestinationQueues({
    terms: {
      limits: { connectionsPerDestination: 2, messagesPerDestinationPerMinute: null },
      paces: new Paces(),
      slowDowns: new SlowDowns(),
    },
    clock: () => 0,
    wall: () => 0,
    deliver: () => new Promise(() => {}),
  });
  for (let index = 0; index < 100; index++) {
    const queue = queues.to(toMx(`d${index}.example`));
    queue.add({ id: toId(index), share: 'other', due: 60_000 }, 0);
    queues.pump(queue);
  }
  const unpack = context.mock.method(QueuePacker.prototype, 'unpack');
  queues.hurry(new Set([toId(7), toId(70)]));
  queues.stop();
  assert.deepEqual([unpack.mock.callCount(), queues.inFlight], [2, 2]);
});

test('a destination that cannot be reached needs less than 400 bytes, with its message and the reason', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const memory = () => {
    for (let times = 0; times < 3; times++) collect();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const count = 30_000;
  let tried = 0;
  const queues = new DestinationQueues({
    terms: {
      limits: { connectionsPerDestination: 20, messagesPerDestinationPerMinute: null },
      paces: new Paces(),
      slowDowns: new SlowDowns(),
    },
    clock: () => 1_000_000,
    wall: () => 1_000_000,
    deliver: async (queue, waiting) => {
      tried += 1;
      const text = `mx.${queue.destination.name}:25: no answer: 192.0.2.${tried % 250}`;
      const failure = makeFailure({ cause: 'connect', status: '4.4.1', text });
      queue.fails(1_795_900_000_000);
      queue.unreachable(waiting, {
        failure,
        hadSession: false,
        backoff: null,
        pauseMs: () => 60_000,
        due: undefined,
        now: 1_000_000,
      });
    },
  });
  const before = memory();
  for (let index = 0; index < count; index++) {
    const queue = queues.to(toMx(`dead${index}.example`));
    queue.add({ id: newQueueId(1_795_900_000_000), share: 'other', due: 1_000_000 }, 1_000_000);
    queues.pump(queue);
    if (index % 1_000 === 0) await turn();
  }
  while (queues.inFlight > 0) await turn();
  const each = (memory() - before) / count;
  queues.stop();
  assert.equal([...queues.failures()].length, count);
  assert.equal(tried, count);
  assert.ok(each < 400, `${each} bytes each`);
});
