/** What keeps old mail from being returned, with a real spool and a courier whose answers come from each test. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, test } from 'node:test';
import { type FailureCause, makeFailure } from '#crds/failure.ts';
import { type AnswerFor, answers, NOBODY, QueueRig, queued } from '#test/kit/queuerig.ts';
import { policyOf } from '#test/kit/relayrig.ts';
import { eventually } from '#test/kit/wait.ts';
import type { AttemptResult } from '../delivery/courier.ts';

const DAY = 86_400_000;
const HOUR = 3_600_000;
let rig: QueueRig;

beforeEach(() => {
  rig = new QueueRig();
});
afterEach(() => rig.remove());

const isIdle = () => !rig.manager.ids().some((id) => rig.manager.isDelivering(id));

test('a message that a person holds during a sweep is neither returned nor reported late', async () => {
  const policy = policyOf();
  const manager = rig.begin(() => NOBODY, { ...policy, queue: { ...policy.queue, delayWarningSeconds: 60 } });
  const old = await rig.enter('me@here.example', ['a@old.example'], rig.now - 6 * DAY);
  const late = await rig.enter('me@here.example', ['a@late.example'], rig.now - DAY);
  await manager.start();
  await eventually(() => rig.count('deferred') === 2 && isIdle());
  const held = [old, late].map((id) => manager.actions.hold(id));
  await manager.actions.sweep();
  assert.deepEqual(await Promise.all(held), ['done', 'done']);
  assert.deepEqual([rig.count('expired'), rig.count('returned'), manager.figures.held], [0, 0, 2]);
  assert.equal(JSON.stringify(manager.counters.take() ?? {}).includes('expired'), false);
  await Promise.all([old, late].map((id) => manager.actions.release(id)));
  await manager.actions.sweep();
  assert.deepEqual([rig.count('expired'), rig.count('returned')], [1, 2]);
});

test('a message that a person removes during a sweep is not counted as expired', async () => {
  const manager = rig.begin(() => NOBODY);
  const old = await rig.enter('me@here.example', ['a@old.example'], rig.now - 6 * DAY);
  await manager.start();
  await eventually(() => rig.count('deferred') === 1 && isIdle());
  const removed = manager.actions.remove(old);
  await manager.actions.sweep();
  assert.equal(await removed, 'done');
  assert.deepEqual([rig.count('expired'), rig.count('returned')], [0, 0]);
});

test('a message that the disk cannot read is returned without it, and holds up no other', async () => {
  const manager = rig.begin(() => NOBODY);
  const id = await rig.enter('me@here.example', ['a@old.example'], rig.now - 7 * DAY);
  await rig.enter('me@here.example', ['b@old.example'], rig.now - 6 * DAY);
  await manager.start();
  await eventually(() => rig.count('deferred') > 0 && isIdle());
  const load = rig.spool.load.bind(rig.spool);
  const broken = () => {
    throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
  };
  rig.spool.load = (of) => {
    const taken = load(of);
    const open = () => new Readable({ read: broken });
    return of === id && taken.kind === 'message' ? { ...taken, open } : taken;
  };
  await manager.actions.sweep();
  assert.deepEqual([rig.count('expired'), rig.count('returned')], [2, 2]);
});

const failing = (cause: FailureCause): AttemptResult => ({
  kind: 'unreachable',
  failure: makeFailure({ cause, status: '4.7.0', text: cause }),
  hadSession: false,
});

/** One attempt, and then a sweep. */
async function tryAll(): Promise<void> {
  const before = rig.count('deferred');
  rig.manager.hurry(() => true);
  await eventually(() => rig.count('deferred') > before && isIdle());
  await rig.manager.actions.sweep();
}

for (const domain of ['hop.example', 'mx.example'])
  for (const cause of ['login', 'local'] as const)
    test(`after a failure of cause ${cause}, mail to ${domain} expires only after a day of others`, async () => {
      let answer = failing(cause);
      const manager = rig.begin(() => answer);
      // A packed queue has one message. And what a fault of this relay kept back must be tried itself.
      const count = domain === 'hop.example' && cause === 'login' ? 5 : 1;
      for (let index = 0; index < count; index++)
        await rig.enter('', [`a@${domain}`], rig.now - 6 * DAY + index);
      await manager.start();
      await eventually(() => rig.count('deferred') > 0 && isIdle());
      answer = NOBODY;
      for (const hours of [1, 12, 11]) {
        rig.now += hours * HOUR;
        await tryAll();
      }
      // The count begins again with another refusal.
      answer = failing(cause);
      rig.now += HOUR / 2;
      await tryAll();
      answer = NOBODY;
      rig.now += 2 * DAY;
      await tryAll();
      assert.equal(manager.figures.depth, count);
      rig.now += DAY - 1;
      await tryAll();
      assert.equal(manager.figures.depth, count);
      rig.now += 1;
      await manager.actions.sweep();
      assert.equal(manager.figures.depth, 0);
    });

test('a destination that has answered since a refused login keeps no mail for it', async () => {
  let answer: AnswerFor = () => failing('login');
  const manager = rig.begin((...asked) => answer(...asked));
  await rig.enter('', ['a@hop.example'], rig.now - 6 * DAY);
  await manager.start();
  await eventually(() => rig.count('deferred') > 0 && isIdle());
  const later = makeFailure({ cause: 'reply', status: '4.2.2', text: 'full' });
  answer = (_, parcel) => answers(parcel, () => later);
  await tryAll();
  assert.equal(manager.figures.depth, 0);
});

test('mail that was never offered, for want of a key, does not expire by the failures of other mail', async () => {
  const noKey = makeFailure({ cause: 'local', status: '4.7.0', text: 'no key' });
  const isOld = (record: { readonly from: string }) => record.from === 'me@nokey.example';
  rig.sign = async ({ record }) =>
    isOld(record) ? { kind: 'failed', failure: noKey } : { kind: 'header', header: null };
  const manager = rig.begin(() => NOBODY);
  const id = await rig.enter('me@nokey.example', ['a@hop.example'], rig.now - 6 * DAY);
  await manager.start();
  await eventually(() => manager.figures.deferrals.length > 0 && isIdle());
  await rig.enter('me@here.example', ['b@hop.example']).then((other) => manager.add(other));
  await eventually(() => rig.count('deferred') === 1 && isIdle());
  await manager.actions.sweep();
  assert.equal(rig.count('expired'), 0);
  assert.equal(manager.findProspect(id, 'me@nokey.example', queued('a@hop.example')).failure, noKey);
});

test('a message that this relay refuses says nothing of its destination', async () => {
  const refused = makeFailure({ cause: 'local', status: '5.6.0', text: 'never' });
  rig.sign = async ({ record }) =>
    record.from === 'me@never.example'
      ? { kind: 'failed', failure: refused }
      : { kind: 'header', header: null };
  const manager = rig.begin(() => failing('login'));
  const id = await rig.enter('', ['a@hop.example'], rig.now - 6 * DAY);
  await manager.start();
  await eventually(() => rig.count('deferred') === 1 && isIdle());
  await rig.enter('me@never.example', ['b@hop.example']).then((other) => manager.add(other));
  rig.now += HOUR;
  manager.hurry((one) => one !== id);
  await eventually(() => rig.count('bounced') === 1 && isIdle());
  await manager.actions.sweep();
  assert.equal(rig.count('expired'), 0);
});

for (const days of [6, 3_650])
  test(`after a step of the wall clock by ${days} days, or such a sleep of the machine, each message gets its time`, async () => {
    const tries: string[] = [];
    const later = makeFailure({ cause: 'reply', status: '4.7.1', text: '451 later' });
    const policy = policyOf();
    const answer = (_: unknown, parcel: Parameters<typeof answers>[0]) => {
      tries.push(...parcel.to);
      return answers(parcel, () => later);
    };
    const manager = rig.begin(answer, { ...policy, queue: { ...policy.queue, delayWarningSeconds: 3_600 } });
    const deferred = async (id: string, to: string) => {
      const due = () => manager.findProspect(id, '', queued(to)).due ?? 0;
      await eventually(() => due() > rig.now + rig.stepped && isIdle());
      return due() - rig.now - rig.stepped;
    };
    const old = await rig.enter('me@here.example', ['old@hop.example']);
    await manager.start();
    assert.equal(await deferred(old, 'old@hop.example'), 60_000);
    rig.stepped = days * DAY;
    await manager.actions.sweep();
    assert.deepEqual([rig.count('expired'), rig.count('returned'), manager.figures.depth], [0, 0, 1]);
    // It goes on by the same schedule, and so does what comes now.
    rig.now += 60_000;
    manager.hurry(() => true);
    assert.equal(await deferred(old, 'old@hop.example'), 120_000);
    const fresh = await rig.enter('', ['fresh@hop.example'], rig.now + rig.stepped);
    manager.add(fresh);
    assert.equal(await deferred(fresh, 'fresh@hop.example'), 60_000);
    assert.deepEqual(tries, ['old@hop.example', 'old@hop.example', 'fresh@hop.example']);
    rig.now += 5 * DAY;
    await manager.actions.sweep();
    const waits = () => [old, fresh].filter((id) => [...manager.ids()].includes(id));
    assert.deepEqual([waits(), rig.count('expired')], [[fresh], 1]);
    rig.now += 60_000;
    await manager.actions.sweep();
    assert.deepEqual([waits(), rig.count('expired')], [[], 2]);
  });

test('after a step back mail is tried less and less often as before', async () => {
  const later = makeFailure({ cause: 'reply', status: '4.7.1', text: '451 later' });
  const manager = rig.begin((_, parcel) => answers(parcel, () => later));
  const id = await rig.enter('', ['a@hop.example'], rig.now - HOUR);
  const pause = () =>
    (manager.findProspect(id, '', queued('a@hop.example')).due ?? 0) - rig.now - rig.stepped;
  await manager.start();
  await eventually(() => pause() > 0 && isIdle());
  rig.stepped = -DAY;
  rig.now += 30 * 60_000;
  manager.hurry(() => true);
  await eventually(() => pause() > 0 && isIdle());
  assert.equal(pause(), 30 * 60_000);
});

const willRetryUntil = (report: string) => Date.parse(/^Will-Retry-Until: (.*)$/m.exec(report)?.[1] ?? '');

// After a step back by a day, mail may as well have come in the day that comes twice.
for (const [days, lateDays] of [
  [-400, 0],
  [-1, 1],
  [0, 0],
  [400, 0],
] as const)
  test(`after a step of the wall clock by ${days} days mail is told late, and goes back, when its time is over`, async () => {
    const policy = policyOf();
    const delayWarningSeconds = 4 * 3_600;
    const manager = rig.begin(() => NOBODY, { ...policy, queue: { ...policy.queue, delayWarningSeconds } });
    const id = await rig.enter('me@here.example', ['a@hop.example']);
    const begin = rig.now;
    await manager.start();
    await eventually(() => rig.count('deferred') === 1 && isIdle());
    rig.stepped = days * DAY;
    const reports = () => [...manager.ids()].filter((one) => one !== id);
    const sweepAt = async (ms: number) => {
      rig.now = begin + ms;
      await manager.actions.sweep();
      return [reports().length, rig.count('expired')];
    };
    assert.deepEqual(await sweepAt(4 * HOUR), [0, 0]);
    assert.deepEqual(await sweepAt(5 * HOUR), [1, 0]);
    const [report = ''] = reports();
    const taken = rig.spool.load(report);
    assert.equal(taken.kind, 'message');
    const text = taken.kind === 'message' ? String(taken.pieces()) : '';
    const due = begin + 5 * DAY + rig.stepped;
    assert.equal(willRetryUntil(text), Math.floor(due / 1000) * 1000);
    assert.deepEqual(await sweepAt((5 + lateDays) * DAY), [1, 0]);
    assert.deepEqual(await sweepAt((5 + lateDays) * DAY + 1), [2, 1]);
  });

test('a delay report of mail whose time was over before its first attempt names no time in the past', async () => {
  const policy = policyOf();
  const manager = rig.begin(() => NOBODY, { ...policy, queue: { ...policy.queue, delayWarningSeconds: 60 } });
  await rig.enter('', ['a@hop.example']);
  await manager.start();
  await eventually(() => rig.count('deferred') === 1 && isIdle());
  // The host has a pause.
  rig.now += 1;
  const old = await rig.enter('me@here.example', ['b@hop.example'], rig.now - 6 * DAY);
  manager.add(old);
  await manager.actions.sweep();
  assert.deepEqual([rig.count('expired'), rig.count('returned')], [0, 1]);
  const report = [...manager.ids()].at(-1) ?? '';
  const taken = rig.spool.load(report);
  const text = taken.kind === 'message' ? String(taken.pieces()) : '';
  assert.match(text, /^Action: delayed$/m);
  assert.doesNotMatch(text, /tried until|Will-Retry-Until/i);
});

test('after a step ahead the young are not read at each look', async () => {
  const manager = rig.begin(() => NOBODY);
  await rig.enter('', ['a@hop.example']);
  await manager.start();
  await eventually(() => rig.count('deferred') === 1 && isIdle());
  rig.stepped = 400 * DAY;
  rig.spool.read = () => assert.fail('a young message was read');
  await manager.actions.sweep();
});
