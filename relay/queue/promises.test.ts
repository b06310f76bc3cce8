/** The promises of a queue, with a real spool and a courier whose answers come from each test. */
import assert from 'node:assert/strict';
import { StatementSync } from 'node:sqlite';
import { afterEach, beforeEach, test } from 'node:test';
import { isOfMaterials, makeFailure } from '#crds/failure.ts';
import { answers, NOBODY, QueueRig } from '#test/kit/queuerig.ts';
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
const greylisted = makeFailure({
  cause: 'reply',
  status: '4.7.1',
  text: '451 4.7.1 later',
  command: 'RCPT TO',
});

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

test('sixty messages that are too old when the relay starts all get their chance', async () => {
  const gate = Promise.withResolvers<void>();
  const sent: string[] = [];
  const manager = rig.begin(async (_, parcel) => {
    await gate.promise;
    sent.push(...parcel.to);
    return answers(parcel);
  });
  for (let index = 0; index < 60; index++)
    await rig.enter('me@here.example', [`a${index}@hop.example`], rig.now - 6 * DAY);
  await manager.start();
  await manager.actions.sweep();
  gate.resolve();
  await eventually(() => rig.spool.depth === 0);
  await manager.actions.sweep();
  assert.deepEqual([sent.length, rig.count('expired'), rig.count('returned')], [60, 0, 0]);
});

test('a host that refuses some connections and serves others has failed for nobody but those that it refused', async () => {
  const gate = Promise.withResolvers<void>();
  const sent: string[] = [];
  let sessions = 0;
  const manager = rig.begin(async (_, parcel) => {
    sessions += 1;
    if (sessions > 2 && sessions <= 5) return NOBODY;
    if (sessions <= 2) await gate.promise;
    sent.push(...parcel.to);
    return answers(parcel);
  });
  for (let index = 0; index < 60; index++)
    await rig.enter('me@here.example', [`a${index}@hop.example`], rig.now - 6 * DAY + index);
  await manager.start();
  const underWay = () => [...manager.ids()].filter((id) => manager.isDelivering(id)).length;
  await eventually(() => rig.count('deferred') === 3 && underWay() === 2);
  await manager.actions.sweep();
  assert.equal(rig.count('expired'), 3);
  gate.resolve();
  await eventually(() => underWay() === 0);
  rig.now += 2_000;
  manager.hurry(() => true);
  await eventually(() => manager.figures.depth === 0);
  assert.equal(sent.filter((address) => address.endsWith('@hop.example')).length, 57);
});

test('one connection that a host refuses after it has answered is no reason to give up what was not tried', async () => {
  const sent: string[] = [];
  const manager = rig.begin((_, parcel) => {
    if (sent.length === 5) return NOBODY;
    sent.push(...parcel.to);
    return answers(parcel);
  });
  for (let index = 0; index < 60; index++)
    await rig.enter('', [`a${index}@hop.example`], rig.now - 6 * DAY + index);
  await manager.start();
  const isQuiet = () => ![...manager.ids()].some((id) => manager.isDelivering(id));
  await eventually(() => rig.count('deferred') > 0 && isQuiet());
  const refused = rig.count('deferred');
  await manager.actions.sweep();
  assert.equal(rig.count('expired'), refused);
  // The second failure in a row says that it is gone.
  rig.now += 2_000;
  manager.hurry(() => true);
  await eventually(() => rig.count('deferred') > refused && isQuiet());
  await manager.actions.sweep();
  assert.deepEqual([sent.length, manager.figures.depth], [5, 0]);
});

test('a message that ends its session takes none of the others with it', async () => {
  const manager = rig.begin((_, parcel) =>
    parcel.to[0] === 'a0@hop.example' ? { ...NOBODY, hadSession: true } : answers(parcel),
  );
  const poison = await rig.enter('me@here.example', ['a0@hop.example'], rig.now - 6 * DAY);
  for (let index = 1; index < 60; index++)
    await rig.enter('me@here.example', [`a${index}@hop.example`], rig.now - 6 * DAY + index);
  await manager.start();
  await eventually(() => rig.count('deferred') === 1 && !manager.isDelivering(poison));
  await manager.actions.sweep();
  assert.equal(rig.count('expired'), 1);
  rig.now += 2_000;
  manager.hurry(() => true);
  await eventually(() => manager.figures.depth === 0);
});

test('mail that a fault of this relay keeps from its next hop does not expire, and expires after a real attempt', async () => {
  let failure = makeFailure({ cause: 'local', status: '4.7.0', text: 'the key cannot be read' });
  const manager = rig.begin((_, parcel) => answers(parcel, () => failure));
  const id = await rig.enter('me@here.example', ['a@hop.example'], rig.now - 6 * DAY);
  await manager.start();
  await eventually(() => rig.count('deferred') === 1 && !manager.isDelivering(id));
  await manager.actions.sweep();
  assert.deepEqual([rig.count('expired'), manager.figures.depth], [0, 1]);
  failure = greylisted;
  rig.now += DAY;
  manager.hurry(() => true);
  await eventually(() => rig.count('deferred') === 2 && !manager.isDelivering(id));
  await manager.actions.sweep();
  assert.equal(rig.count('expired'), 1);
});

test('one failed session, begun when all were loaded, lets all be given up that are too old', async () => {
  let tries = 0;
  const manager = rig.begin(({ key }, parcel) => {
    if (key !== 'dead.example') return answers(parcel);
    tries += 1;
    return NOBODY;
  });
  for (let index = 0; index < 200; index++)
    await rig.enter('', [`a${index}@dead.example`], rig.now - 6 * DAY + index);
  const young = await rig.enter('', ['young@dead.example']);
  await manager.start();
  await eventually(() => tries > 0 && !manager.ids().some((id) => manager.isDelivering(id)));
  const late = await rig.enter('', ['late@dead.example'], rig.now - 6 * DAY);
  rig.now += 10;
  manager.add(late);
  await manager.actions.sweep();
  assert.deepEqual([...manager.ids()], [late, young]);
  assert.ok(tries <= 5, `${tries}`);
});

test('a restart begins no back-off anew: what was put off waits as long as its age says', async () => {
  const received = rig.now;
  let tries = 0;
  const answer = (_: unknown, parcel: Parameters<typeof answers>[0]) => {
    tries += 1;
    return answers(parcel, (address) => (address.startsWith('later') ? greylisted : undefined));
  };
  const id = await rig.enter('', ['later@hop.example', 'a@hop.example']);
  await rig.begin(answer).start();
  const due = () => rig.manager.findProspect(id, '', 'later@hop.example').due ?? 0;
  await eventually(() => due() > rig.now);
  for (const [age, pause] of [
    [0, 1],
    [1, 2],
    [3, 5],
    [60, 30],
  ] as const) {
    if (age > 0) {
      rig.now = received + age * 60_000;
      const before = tries;
      rig.manager.hurry(() => true);
      await eventually(() => tries > before && due() > rig.now);
    }
    assert.equal(due(), rig.now + pause * 60_000);
    await rig.manager.drain(0);
    const before = tries;
    const expected = due();
    rig.now += 10_000;
    await rig.begin(answer).start();
    assert.deepEqual([due(), tries], [expected, before]);
  }
});

test('a restart begins no back-off anew, however many messages wait for one destination', async () => {
  let tries = 0;
  const answer = (_: unknown, parcel: Parameters<typeof answers>[0]) => {
    tries += 1;
    return answers(parcel, () => greylisted);
  };
  const count = 20;
  for (let index = 0; index < count; index++) await rig.enter('', [`a${index}@hop.example`]);
  await rig.begin(answer).start();
  const isIdle = () => !rig.manager.ids().some((id) => rig.manager.isDelivering(id));
  await eventually(() => tries === count && isIdle());
  await rig.manager.drain(0);
  rig.now += 10_000;
  await rig.begin(answer).start();
  const fresh = await rig.enter('', ['fresh@hop.example']);
  rig.manager.add(fresh);
  await eventually(() => tries > count && isIdle());
  assert.equal(tries, count + 1);
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

test('a new policy that sends mail to other hosts tries it at once', async () => {
  let tries = 0;
  const answer = (_: unknown, parcel: Parameters<typeof answers>[0]) => {
    tries += 1;
    return answers(parcel, () => greylisted);
  };
  const id = await rig.enter('', ['later@hop.example']);
  await rig.begin(answer).start();
  await eventually(() => (rig.manager.findProspect(id, '', 'later@hop.example').due ?? 0) > rig.now);
  await rig.manager.drain(0);
  rig.routes = 'other ';
  await rig.begin(answer).start();
  await eventually(() => tries === 2);
});

test('after an outage of the relay, what is overdue or was never tried goes at once', async () => {
  let down = true;
  const answer = (_: unknown, parcel: Parameters<typeof answers>[0]) =>
    answers(parcel, () => (down ? greylisted : undefined));
  await rig.enter('', ['a@hop.example']);
  await rig.begin(answer).start();
  await eventually(() => rig.manager.figures.deferrals.length === 1);
  await rig.manager.drain(0);
  await rig.enter('', ['b@hop.example']);
  rig.now += 2 * HOUR;
  down = false;
  await rig.begin(answer).start();
  await eventually(() => rig.manager.figures.depth === 0);
});

test('new materials hurry only what waits for the destinations that they concern', async () => {
  const tries: Record<string, number> = {};
  const manager = rig.begin((destination, parcel) => {
    tries[destination.key] = (tries[destination.key] ?? 0) + 1;
    return answers(parcel, () => greylisted);
  });
  await rig.enter('', ['a@one.example', 'a@two.example']);
  await manager.start();
  await eventually(() => tries['one.example'] === 1 && tries['two.example'] === 1);
  await eventually(() => manager.figures.deferrals.length === 2);
  manager.materialsChanged(({ key }) => key === 'one.example', false);
  await eventually(() => tries['one.example'] === 2);
  manager.materialsChanged(() => false, true);
  assert.deepEqual(tries, { 'one.example': 2, 'two.example': 1 });
});

test('new materials hurry a refused login, and not what a host put off or did not answer', async () => {
  const refused = makeFailure({ cause: 'login', status: '4.7.8', text: 'refuses our login' });
  const unreachable = { kind: 'unreachable', failure: refused, hadSession: false } as const;
  const tries: Record<string, number> = {};
  const manager = rig.begin(({ key }, parcel) => {
    tries[key] = (tries[key] ?? 0) + 1;
    if (key === 'later.example') return answers(parcel, () => greylisted);
    return key === 'dead.example' ? NOBODY : unreachable;
  });
  await rig.enter('', ['a@login.example', 'a@later.example', 'a@dead.example']);
  await manager.start();
  await eventually(() => manager.figures.deferrals.length === 2);
  // Came during the pause, so it was not tried itself.
  manager.add(await rig.enter('', ['b@dead.example']));
  manager.materialsChanged((_, failure) => failure === undefined || isOfMaterials(failure), false);
  await eventually(() => tries['login.example'] === 2);
  assert.deepEqual(tries, { 'login.example': 2, 'later.example': 1, 'dead.example': 1 });
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

test('a recipient that is one too many is tried in a transaction of its own, and once', async () => {
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
  const [all, ...alone] = sent.filter(([first]) => first !== 'me@here.example');
  assert.equal(all?.length, 4);
  assert.deepEqual(alone, [['c@hop.example'], ['never@hop.example']]);
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
