/** What a queue promises to mail and destinations, with a real spool and a courier whose answers come from each test. */
import assert from 'node:assert/strict';
import { StatementSync } from 'node:sqlite';
import { afterEach, beforeEach, test } from 'node:test';
import { answers, greylisted, QueueRig } from '#test/kit/queuerig.ts';
import { policyOf } from '#test/kit/relayrig.ts';
import { eventually } from '#test/kit/wait.ts';
import { failureFromReply } from '../delivery/verdict.ts';

const DAY = 86_400_000;
const HOUR = 3_600_000;
let rig: QueueRig;

beforeEach(() => {
  rig = new QueueRig();
});
afterEach(() => rig.remove());

const forever = () => new Promise<never>(() => undefined);

test('what is in the spool is found without a word, older than the newest known or not', async () => {
  const sent: string[] = [];
  const manager = rig.begin((_, parcel) => {
    sent.push(...parcel.to);
    return answers(parcel);
  });
  await manager.start();
  manager.add(await rig.enter('', ['newest@hop.example']));
  await eventually(() => sent.length === 1);
  for (const [to, age] of [
    ['a', 1_000],
    ['b', HOUR],
    ['c', 10 * DAY],
    ['d', -60_000],
  ] as const)
    await rig.enter('', [`${to}@hop.example`], rig.now - age);
  await eventually(() => sent.length === 5);
  await rig.enter('', ['e@hop.example'], rig.now - DAY);
  await manager.look();
  await eventually(() => sent.length === 6);
  await eventually(() => manager.figures.depth === 0);
});

test('a message that is known is not taken up again, however often the spool is looked through', async () => {
  let tries = 0;
  const manager = rig.begin((_, parcel) => {
    tries += 1;
    return answers(parcel, () => greylisted);
  });
  await rig.enter('', ['a@hop.example']);
  await manager.start();
  await eventually(() => manager.figures.deferrals.length === 1);
  await manager.look();
  await manager.look();
  assert.deepEqual([tries, manager.figures.depth], [1, 1]);
});

for (const action of ['hold', 'remove'] as const)
  test(`a message that is told of during a ${action} is not delivered from what was read before it`, async () => {
    const sent: string[] = [];
    const manager = rig.begin((_, parcel) => {
      sent.push(...parcel.to);
      return answers(parcel, () => greylisted);
    });
    await manager.start();
    const id = await rig.enter('', ['a@hop.example']);
    const done = manager.actions[action](id);
    await eventually(() => manager.actions.changing(id) !== undefined);
    manager.add(id);
    assert.equal(await done, 'done');
    const other = await rig.enter('', ['b@hop.example']);
    manager.add(other);
    await eventually(() => sent.length > 0 && !manager.isDelivering(other));
    assert.deepEqual(sent, ['b@hop.example']);
    const read = rig.spool.read(id);
    assert.equal(read.kind === 'message' ? read.record.hold : read.kind, action === 'hold' ? true : 'gone');
  });

test('reports to hosts that drip delay no configured hop, and it is told that slots are short', async () => {
  const sent: string[] = [];
  const manager = rig.begin(async ({ kind }, parcel) => {
    if (kind === 'mx') return forever();
    sent.push(...parcel.to);
    return answers(parcel);
  });
  for (let index = 0; index < 310; index++) await rig.enter('', [`a@mx${index}.example`]);
  await manager.start();
  assert.ok((manager.figures.blockedDestinations ?? 0) > 0);
  for (let index = 0; index < 50; index++)
    manager.add(await rig.enter('me@here.example', [`a${index}@hop.example`]));
  await eventually(() => sent.length === 50);
});

test('MX hosts that answered before and drip now leave slots to a configured hop that is new', async () => {
  let drips = false;
  const sent: string[] = [];
  const manager = rig.begin(async ({ kind }, parcel) => {
    if (kind === 'mx' && drips) return forever();
    sent.push(...parcel.to);
    return answers(parcel);
  });
  const all = Array.from({ length: 40 }, (_, index) => `mx${index}.example`);
  for (const domain of all) await rig.enter('me@here.example', [`a@${domain}`]);
  await manager.start();
  await eventually(() => manager.figures.depth === 0);
  drips = true;
  for (let index = 0; index < 20; index++)
    manager.add(
      await rig.enter(
        'me@here.example',
        all.map((domain) => `b${index}@${domain}`),
      ),
    );
  manager.add(await rig.enter('me@here.example', ['new@hop.example']));
  await eventually(() => sent.includes('new@hop.example'));
});

test('a destination gets no more in any minute than it may, whatever comes and goes', async () => {
  const limits = { ...policyOf().outbound.limits, messagesPerDestinationPerMinute: 5 };
  const at: number[] = [];
  const manager = rig.begin(
    (_, parcel) => {
      at.push(rig.now);
      return answers(parcel);
    },
    policyOf({}, { limits }),
  );
  await manager.start();
  // Messages arrive one by one across the end of a minute, and the queue is empty in between.
  rig.now = Math.ceil(rig.now / 60_000) * 60_000 - 3_000;
  for (let index = 0; index < 12; index++) {
    manager.add(await rig.enter('', ['a@hop.example']));
    await eventually(() => manager.figures.depth === 0 || at.length === 5);
    rig.now += 1_000;
  }
  assert.equal(at.length, 5);
  assert.equal(manager.figures.depth, 7);
});

test('a destination keeps the limits of its route, and others those of the relay', async () => {
  const limits = { ...policyOf().outbound.limits, messagesPerDestinationPerMinute: 4 };
  rig.limits = { 'slow.example': { connectionsPerDestination: 1, messagesPerDestinationPerMinute: 2 } };
  const sent: string[] = [];
  const manager = rig.begin(
    ({ name }, parcel) => {
      sent.push(name);
      return answers(parcel);
    },
    policyOf({}, { limits }),
  );
  await manager.start();
  for (const domain of ['slow.example', 'hop.example'])
    for (let index = 0; index < 6; index++) manager.add(await rig.enter('', [`a@${domain}`]));
  await eventually(() => sent.length === 6);
  assert.deepEqual(sent.toSorted(), [...Array(4).fill('hop.example'), ...Array(2).fill('slow.example')]);
});

test('a recipient that is one too many is tried with others and then in a transaction of its own, and once', async () => {
  const sent: string[][] = [];
  const tooMany = failureFromReply(552, '552 too many', 'RCPT TO');
  const manager = rig.begin((_, parcel) => {
    sent.push([...parcel.to]);
    return answers(parcel, (address) => {
      if (address === 'never@hop.example') return tooMany;
      return parcel.to.indexOf(address) > 1 ? tooMany : undefined;
    });
  });
  await rig.enter(
    'me@here.example',
    ['a', 'b', 'c', 'never'].map((name) => `${name}@hop.example`),
  );
  await manager.start();
  await eventually(() => manager.figures.depth === 0);
  const [all, ...later] = sent.filter(([first]) => first !== 'me@here.example');
  assert.equal(all?.length, 4);
  assert.deepEqual(later, [['c@hop.example', 'never@hop.example'], ['never@hop.example']]);
  assert.equal(rig.count('returned'), 1);
});

test('one statement reads what a delivery needs, and none its progress', async () => {
  const reads: string[] = [];
  const { get } = StatementSync.prototype;
  StatementSync.prototype.get = function (this: StatementSync, ...keys: never[]) {
    if (this.sourceSQL.includes('WHERE')) reads.push(this.sourceSQL);
    return get.apply(this, keys as never);
  } as typeof get;
  try {
    const manager = rig.begin((_, parcel) => answers(parcel));
    await manager.start();
    const ids: string[] = [];
    for (let index = 0; index < 20; index++) ids.push(await rig.enter('', [`a${index}@hop.example`]));
    reads.length = 0;
    for (const id of ids) manager.add(id);
    await eventually(() => manager.figures.depth === 0);
    assert.equal(reads.length, 20);
  } finally {
    StatementSync.prototype.get = get;
  }
});

test('what one destination was told is not forgotten when another one is settled', async () => {
  const gate = Promise.withResolvers<void>();
  const manager = rig.begin(async ({ key }, parcel) => {
    if (key === 'slow.example') await gate.promise;
    return answers(parcel, () => (key === 'slow.example' ? greylisted : undefined));
  });
  const id = await rig.enter('', ['a@fast.example', 'b@slow.example', 'c@quick.example']);
  await manager.start();
  const left = () => {
    const read = rig.spool.read(id);
    return read.kind === 'message' ? read.record.recipients.map(({ address }) => address) : read.kind;
  };
  await eventually(() => left().length === 1);
  gate.resolve();
  await eventually(() => !manager.isDelivering(id));
  assert.deepEqual(left(), ['b@slow.example']);
  assert.equal(await manager.actions.hold(id), 'done');
  manager.hurry(() => true);
  await eventually(() => !manager.isDelivering(id));
  assert.deepEqual(left(), ['b@slow.example']);
  assert.equal(await manager.actions.remove(id), 'done');
  assert.equal(left(), 'gone');
});
