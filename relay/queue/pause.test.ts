/** The pause of a destination: what lengthens it, and what ends it. The spool is real, the answers come from each test. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import { type AnswerFor, answers, NOBODY, QueueRig, queued } from '#test/kit/queuerig.ts';
import { policyOf } from '#test/kit/relayrig.ts';
import { eventually } from '#test/kit/wait.ts';
import { WaitingMessages } from './waiting.ts';

const DAY = 86_400_000;
const full = makeFailure({ cause: 'reply', status: '4.2.2', text: '452 4.2.2 full', command: 'RCPT TO' });
let rig: QueueRig;

beforeEach(() => {
  rig = new QueueRig();
});
afterEach(() => rig.remove());

const isIdle = () => !rig.manager.ids().some((id) => rig.manager.isDelivering(id));
const dueOf = (id: string) => rig.manager.findProspect(id, '', queued('a@hop.example')).due ?? 0;

/** A process that defers this message and ends. The next process begins after it. */
async function deferOldMessage(answer: AnswerFor): Promise<void> {
  await rig.enter('', ['old@hop.example'], rig.now - 3 * DAY);
  await rig.begin(answer).start();
  await eventually(() => rig.count('deferred') === 1 && isIdle());
  await rig.manager.drain(0);
  rig.now += 1;
}

const takesNot: AnswerFor = (_, parcel) => answers(parcel, () => full);
for (const [what, answer, pauseMs] of [
  ['refused for now', takesNot, 1_000],
  ['unreachable', () => NOBODY, 15 * 60_000],
] as const)
  test(`after a restart, a failure at a destination that was ${what} makes a pause of ${pauseMs / 1000} s`, async () => {
    await deferOldMessage(answer);
    const id = await rig.enter('', ['a@hop.example']);
    await rig.begin(() => NOBODY).start();
    await eventually(() => rig.count('deferred') === 2 && isIdle());
    assert.equal(dueOf(id), rig.now + pauseMs);
  });

for (const to of ['a@hop.example', 'a@mx.example'])
  test(`after a restart, mail that waits only for its destination goes when that takes other mail: ${to}`, async () => {
    const old = await rig.enter('', [to], rig.now - DAY);
    const refused = await rig.enter('', [`refused-${to}`]);
    const answer: AnswerFor = (_, parcel) => (parcel.to[0] === to ? NOBODY : answers(parcel, () => full));
    await rig.begin(answer).start();
    await eventually(() => rig.count('deferred') === 2 && isIdle());
    await rig.manager.drain(0);
    const sent: string[] = [];
    rig.now += 1_000;
    const manager = rig.begin((_, parcel) => {
      sent.push(...parcel.to);
      return answers(parcel);
    });
    await manager.start();
    const left = (id: string) => (manager.findProspect(id, '', queued(to)).due ?? 0) - rig.now;
    assert.deepEqual([left(old), left(refused)], [15 * 60_000 - 1_000, 59_000]);
    manager.add(await rig.enter('', [`new-${to}`]));
    await eventually(() => sent.length > 0 && isIdle());
    assert.deepEqual(sent, [`new-${to}`, to]);
    assert.deepEqual([[...manager.ids()], left(refused)], [[refused], 59_000]);
  });

test('after a restart, new mail takes turns with mail that was refused for now, although all of that is due', async () => {
  for (let index = 0; index < 40; index++) await rig.enter('', [`old${index}@hop.example`]);
  await rig.begin(takesNot).start();
  await eventually(() => rig.count('deferred') === 40 && isIdle());
  await rig.manager.drain(0);
  rig.now += 60 * 60_000;
  for (let index = 0; index < 12; index++) await rig.enter('', [`new${index}@hop.example`]);
  const tried: string[] = [];
  const limits = { ...policyOf().outbound.limits, connectionsPerDestination: 1 };
  const manager = rig.begin(
    (_, parcel) => {
      tried.push(...parcel.to);
      return answers(parcel, () => full);
    },
    policyOf({}, { limits }),
  );
  await manager.start();
  await eventually(() => tried.length >= 52);
  const last = tried.findLastIndex((to) => to.startsWith('new'));
  assert.ok(last <= 26, `${tried}`);
});

test('an answer ends the wait of what waits only for the destination, however much else waits', () => {
  const line = new WaitingMessages('other');
  const ids = Array.from({ length: 20 }, (_, index) => `m${String(index).padStart(2, '0')}`.padEnd(16));
  const isAway = (index: number) => index % 3 === 0;
  for (const [index, id] of ids.entries())
    line.add({ id, share: 'other', due: 100 + index, ...(isAway(index) ? { isAway: true } : {}) }, 0);
  const next = (now: number) => {
    const taken: string[] = [];
    for (let one = line.next(now); one; one = line.next(now)) taken.push(one.id);
    return taken;
  };
  assert.deepEqual(next(101), ids.slice(0, 2));
  line.reached(50);
  assert.deepEqual(
    [line.nextDue(0), line.get(ids[3] ?? '')?.due, line.get(ids[4] ?? '')?.due],
    [50, 50, 104],
  );
  assert.deepEqual(
    next(50),
    ids.filter((_, index) => index > 1 && isAway(index)),
  );
  assert.deepEqual(
    next(200),
    ids.filter((_, index) => index > 1 && !isAway(index)),
  );
  assert.equal(line.size, 0);
});

test('an answer after a failure leaves no more than a first pause', async () => {
  await deferOldMessage(() => NOBODY);
  const gate = Promise.withResolvers<void>();
  const manager = rig.begin(async (_, parcel) => {
    if (parcel.to[0] === 'away@hop.example') return NOBODY;
    await gate.promise;
    return answers(parcel);
  });
  const slow = await rig.enter('', ['slow@hop.example']);
  const away = await rig.enter('', ['away@hop.example']);
  await manager.start();
  await eventually(() => rig.count('deferred') === 2);
  const id = await rig.enter('', ['a@hop.example']);
  manager.add(id);
  assert.deepEqual([manager.isDelivering(slow), dueOf(id)], [true, rig.now + 15 * 60_000]);
  gate.resolve();
  await eventually(() => isIdle());
  assert.deepEqual([dueOf(id), dueOf(away)], [rig.now + 1_000, rig.now + 1_000]);
});

test('what a message requires neither begins nor ends a pause of its destination', async () => {
  await deferOldMessage(() => NOBODY);
  const manager = rig.begin((_, parcel) =>
    parcel.from === '' ? NOBODY : { ...answers(parcel, () => full), isOfMessage: true },
  );
  await manager.start();
  manager.add(await rig.enter('strict@here.example', ['b@hop.example']));
  await eventually(() => rig.count('deferred') === 2 && isIdle());
  const id = await rig.enter('', ['a@hop.example']);
  manager.add(id);
  await eventually(() => rig.count('deferred') === 3 && isIdle());
  assert.equal(dueOf(id), rig.now + 15 * 60_000);
});

test('a person who wants one message of many tried now gets that one tried, also if it was never tried before', async () => {
  const tried: string[] = [];
  const manager = rig.begin((_, { to }) => {
    tried.push(...to);
    return NOBODY;
  });
  const ids: string[] = [];
  for (let index = 0; index < 40; index++)
    ids.push(await rig.enter('', [`m${index}@hop.example`], rig.now + index));
  await manager.start();
  await eventually(() => tried.length > 0 && isIdle());
  const begun = tried.length;
  for (const wanted of [30, 20, 30]) {
    const before = tried.length;
    manager.hurry((id) => id === ids[wanted]);
    await eventually(() => tried.length > before && isIdle());
    assert.equal(tried.at(-1), `m${wanted}@hop.example`);
  }
  assert.equal(tried.length, begun + 3);
});

test('a probe that began before a person wants mail tried now makes no pause: the mail is tried then', async () => {
  const tried: string[] = [];
  const gate = Promise.withResolvers<void>();
  const manager = rig.begin(async (_, { to }) => {
    tried.push(...to);
    if (tried.length === 2) await gate.promise;
    return NOBODY;
  });
  await rig.enter('', ['first@hop.example']);
  await manager.start();
  await eventually(() => rig.count('deferred') === 1 && isIdle());
  rig.now += 2_000;
  for (const name of ['second', 'third']) manager.add(await rig.enter('', [`${name}@hop.example`]));
  const wanted = await rig.enter('', ['a@hop.example']);
  manager.add(wanted);
  await eventually(() => tried.length === 2);
  rig.now += 1_000;
  manager.hurry((id) => id === wanted);
  rig.now += 1_000;
  gate.resolve();
  await eventually(() => tried.length === 3 && isIdle());
  assert.equal(tried[2], 'a@hop.example');
  assert.equal(dueOf(wanted), rig.now + 2_000);
});

test('a host that hangs is probed once at a time, also if a person wants its mail tried now while it hangs', async () => {
  let hangs = 0;
  let gate: PromiseWithResolvers<void> | undefined;
  const manager = rig.begin(async (_, parcel) => {
    if (!gate) return answers(parcel);
    hangs += 1;
    await gate.promise;
    hangs -= 1;
    return NOBODY;
  });
  const send = async (count: number) => {
    for (let index = 0; index < count; index++) manager.add(await rig.enter('', [`${index}@hop.example`]));
  };
  await manager.start();
  await send(10);
  await eventually(() => rig.spool.depth === 0);
  gate = Promise.withResolvers();
  await send(40);
  await eventually(() => hangs > 5);
  const begun = hangs;
  rig.now += 30_000;
  manager.hurry(() => true);
  rig.now += 30_000;
  const before = gate;
  gate = Promise.withResolvers();
  before.resolve();
  await eventually(() => rig.count('deferred') === begun && hangs > 0);
  assert.equal(hangs, 1);
  gate.resolve();
});

test('mail of a bounce that a person wants tried now goes before mail that clients have sent to the same hops', async () => {
  const tried: string[] = [];
  const manager = rig.begin((_, { to }) => {
    tried.push(...to);
    return NOBODY;
  });
  const [bounce, other] = [
    await rig.enter('', ['bounce@hop.example']),
    await rig.enter('me@here.example', ['b@hop.example']),
  ];
  await manager.start();
  await eventually(() => rig.count('deferred') === 2 && isIdle());
  for (const [wanted, address] of [
    [bounce, 'bounce@hop.example'],
    [bounce, 'bounce@hop.example'],
    [other, 'b@hop.example'],
    [other, 'b@hop.example'],
  ]) {
    rig.now += 60 * 60_000;
    const before = tried.length;
    manager.hurry((id) => id === wanted);
    await eventually(() => tried.length > before && isIdle());
    assert.equal(tried[before], address);
  }
});

test('an attempt that a stop of the relay cuts off puts off no mail that requires TLS', async () => {
  const gate = Promise.withResolvers<void>();
  const manager = rig.begin(async (_, parcel) => {
    await gate.promise;
    return { ...answers(parcel, () => full), isOfMessage: true };
  });
  const id = await rig.enter('strict@here.example', ['b@hop.example']);
  await manager.start();
  await eventually(() => manager.isDelivering(id));
  const drained = manager.drain(10_000);
  gate.resolve();
  await drained;
  assert.equal(rig.count('deferred'), 0);
  let tried = 0;
  await rig
    .begin((_, parcel) => {
      tried += 1;
      return answers(parcel);
    })
    .start();
  await eventually(() => tried === 1);
});
