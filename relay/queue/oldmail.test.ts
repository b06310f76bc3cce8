/** Mail that is too old gets its chance and no more, with a real spool and a courier whose answers come from each test. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import { type AnswerFor, answers, greylisted, NOBODY, QueueRig } from '#test/kit/queuerig.ts';
import { policyOf } from '#test/kit/relayrig.ts';
import { eventually } from '#test/kit/wait.ts';

const DAY = 86_400_000;
let rig: QueueRig;

beforeEach(() => {
  rig = new QueueRig();
});
afterEach(() => rig.remove());

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

const isQuiet = () => ![...rig.manager.ids()].some((id) => rig.manager.isDelivering(id));

/** One more attempt, and the number of messages that the sweep returns then. */
async function countReturned(afterMs: number): Promise<number> {
  const [before, tried] = [rig.count('expired'), rig.count('deferred')];
  rig.now += afterMs;
  rig.manager.add(await rig.enter('', ['young@hop.example']));
  await eventually(() => rig.count('deferred') > tried && isQuiet());
  await rig.manager.actions.sweep();
  return rig.count('expired') - before;
}

for (const [what, served, afterMs] of [
  ['of a host that has answered before', 5, 20 * 60_000],
  ['of a host that has never answered since a restart', 0, 2_000],
] as const)
  test(`refused connections ${what} are no reason to give up what was not tried, unless a later one fails too`, async () => {
    const sent: string[] = [];
    const manager = rig.begin((_, parcel) => {
      if (sent.length === served) return NOBODY;
      sent.push(...parcel.to);
      return answers(parcel);
    });
    for (let index = 0; index < 60; index++)
      await rig.enter('', [`a${index}@hop.example`], rig.now - 6 * DAY + index);
    await manager.start();
    await eventually(() => rig.count('deferred') > 0 && isQuiet());
    await manager.actions.sweep();
    let refused = rig.count('deferred');
    assert.equal(rig.count('expired'), refused);
    if (served > 0) {
      // It may take no more in this minute.
      assert.equal(await countReturned(2_000), 1);
      refused += 1;
    }
    assert.equal(await countReturned(afterMs), 60 - served - refused);
    assert.equal(sent.length, served);
  });

test('what a process before has found says nothing of connections that a host refuses now', async () => {
  const answer = () => NOBODY;
  await rig.enter('', ['away@hop.example'], rig.now - 600_000);
  await rig.begin(answer).start();
  await eventually(() => rig.count('deferred') === 1);
  await rig.manager.drain(0);
  rig.now += 600_000;
  const old = rig.now - 6 * DAY;
  for (let index = 0; index < 60; index++) await rig.enter('', [`a${index}@hop.example`], old + index);
  const manager = rig.begin(answer);
  await manager.start();
  const tried = () => rig.count('deferred') - 1;
  await eventually(() => tried() > 0 && isQuiet());
  await manager.actions.sweep();
  assert.equal(rig.count('expired'), tried());
  assert.ok(tried() <= 5);
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

test('one failed probe, begun when all were loaded, lets all be given up that are too old', async () => {
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
  await eventually(() => tries > 0 && isQuiet());
  const begun = tries;
  rig.now += 2_000;
  manager.hurry((id) => id === young);
  await eventually(() => tries > begun && isQuiet());
  const late = await rig.enter('', ['late@dead.example'], rig.now - 6 * DAY);
  rig.now += 10;
  manager.add(late);
  await manager.actions.sweep();
  assert.deepEqual([...manager.ids()], [late, young]);
  assert.ok(tries <= 6, `${tries}`);
});

test('mail that a person wants tried now goes back after a probe that began then, and after none before', async () => {
  let takes = true;
  const answer: AnswerFor = (_, parcel) => (takes ? answers(parcel, () => greylisted) : NOBODY);
  for (let index = 0; index < 60; index++)
    await rig.enter('', [`a${index}@hop.example`], rig.now - 6 * DAY + index);
  await rig.begin(answer).start();
  await eventually(() => rig.count('deferred') === 60 && isQuiet());
  await rig.manager.drain(0);
  takes = false;
  const manager = rig.begin(answer);
  await manager.start();
  for (let probes = 0; probes < 2; probes++) assert.equal(await countReturned(2_000), 0);
  const tried = rig.count('deferred');
  manager.hurry(() => true);
  await manager.actions.sweep();
  assert.equal(rig.count('expired'), 0);
  await eventually(() => rig.count('deferred') > tried && isQuiet());
  await manager.actions.sweep();
  assert.equal(rig.count('expired'), 60);
});

test('that a host has answered in the last ten minutes is known although nothing waited since: it costs no released mail', async () => {
  let takes = true;
  const manager = rig.begin((_, parcel) => (takes ? answers(parcel) : NOBODY));
  const ids: string[] = [];
  for (let index = 0; index < 40; index++) {
    ids.push(await rig.enter('', [`a${index}@hop.example`], rig.now - 6 * DAY + index));
    await manager.actions.hold(ids[index] ?? '');
  }
  await manager.start();
  manager.add(await rig.enter('', ['young@hop.example']));
  await eventually(() => rig.spool.depth === 40 && isQuiet());
  takes = false;
  for (const id of ids) await manager.actions.release(id);
  await eventually(() => rig.count('deferred') > 0 && isQuiet());
  await countReturned(2_000);
  assert.ok(rig.count('expired') < 10, `${rig.count('expired')}`);
});

test('a queue that cannot be read for a moment ends no process that looks for old mail', async (context) => {
  const manager = rig.begin(() => NOBODY);
  const id = await rig.enter('s@b.example', ['a@a.example']);
  await manager.start();
  await eventually(() => rig.count('deferred') === 1 && !manager.isDelivering(id));
  rig.now += 6 * 24 * 3_600_000;
  const { mock } = context.mock.method(rig.spool, 'read', () => {
    throw new Error('The queue is being recovered');
  });
  manager.actions.stop();
  manager.actions.start(1);
  await eventually(() => mock.callCount() > 2);
  mock.restore();
  manager.hurry(() => true);
  await eventually(() => rig.count('expired') === 1);
});

test('the sender is told once that mail is late where the write that told it failed and is in the store', async (context) => {
  const policy = policyOf();
  const manager = rig.begin(() => NOBODY, {
    ...policy,
    queue: { ...policy.queue, delayWarningSeconds: 3600 },
  });
  const id = await rig.enter('s@b.example', ['a@a.example']);
  await manager.start();
  await eventually(() => rig.count('deferred') === 1 && !manager.isDelivering(id));
  rig.now += 2 * 3_600_000;
  const settle = rig.spool.settle.bind(rig.spool);
  const { mock } = context.mock.method(rig.spool, 'settle', async (...args: Parameters<typeof settle>) => {
    await settle(...args);
    mock.restore();
    throw new Error('disk I/O error');
  });
  await manager.actions.sweep();
  assert.deepEqual([rig.spool.depth, rig.count('returned')], [2, 1]);
});

test('one message that cannot be read keeps no other from its end', async (context) => {
  const manager = rig.begin(() => NOBODY);
  const ids = [1_000, 0].map((olderMs) => rig.enter('s@b.example', ['a@a.example'], rig.now - olderMs));
  const [oldest] = await Promise.all(ids);
  await manager.start();
  const areTried = (times: number) => () =>
    rig.count('deferred') >= times && manager.ids().every((id) => !manager.isDelivering(id));
  await eventually(areTried(1));
  rig.now += 6 * DAY;
  manager.hurry(() => true);
  await eventually(areTried(2));
  const load = rig.spool.load.bind(rig.spool);
  context.mock.method(rig.spool, 'load', (id: string) => {
    if (id === oldest) throw Object.assign(new Error('EIO: i/o error, stat'), { code: 'EIO' });
    return load(id);
  });
  await manager.actions.sweep();
  assert.deepEqual([rig.count('expired'), rig.count('spool_not_read')], [1, 1]);
});
