/** A message with many recipients goes in many transactions. A person has a turn between two of them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AttemptResult } from '#relay/delivery/courier.ts';
import { answers, NOBODY, QueueRig } from '#test/kit/queuerig.ts';
import { policyOf } from '#test/kit/relayrig.ts';
import { eventually } from '#test/kit/wait.ts';
import { failureFromReply } from '../delivery/verdict.ts';
import { serveControl } from './control.ts';
import { QueueTools } from './tools.ts';

const HOUR = 3_600_000;
let rig: QueueRig;
/** The transactions, each as its destination and its recipients. */
let begun: { readonly key: string; readonly to: readonly string[] }[];
let ended: number;

beforeEach(() => {
  rig = new QueueRig();
  begun = [];
  ended = 0;
});
afterEach(() => rig.remove());

const tooMany = failureFromReply(452, '452 4.5.3 too many recipients', 'RCPT TO');
const addresses = (domain: string, count = 40) =>
  Array.from({ length: count }, (_, at) => `r${at}@${domain}`);
const patience = () => AbortSignal.timeout(30_000);

/** Hops that take one recipient at a time, each transaction `ms` long. */
function begin(ms = 5, end: (key: string, to: readonly string[]) => Promise<void> = () => sleep(ms)) {
  rig.begin(async ({ key }, parcel): Promise<AttemptResult> => {
    begun.push({ key, to: parcel.to });
    await end(key, parcel.to);
    ended += 1;
    return answers(parcel, (address) => (address === parcel.to[0] ? undefined : tooMany));
  });
  return new QueueTools(rig.manager, rig.spool);
}

const left = (id: string) => {
  const read = rig.spool.read(id);
  return read.kind === 'message' ? read.record.recipients.map(({ address }) => address) : [];
};
const delivered = () =>
  rig.events.filter(({ event }) => event === 'delivered').map(({ fields }) => fields['to']);

for (const action of ['hold', 'remove'] as const)
  test(`a ${action} of a message that goes in many transactions comes after the present one`, async () => {
    const to = addresses('a.example');
    const id = await rig.enter('s@b.example', to);
    const tools = begin();
    await rig.manager.start();
    await eventually(() => begun.length >= 3);
    const before = begun.length;
    assert.deepEqual(await tools.do(action, [id], patience), [{ id, result: 'done' }]);
    assert.ok(begun.length <= before + 1, `${begun.length - before} more transactions`);
    await eventually(() => !rig.manager.isDelivering(id));
    assert.equal(begun.length, ended);
    const sent = delivered();
    assert.deepEqual(sent, to.slice(0, begun.length));
    if (action === 'remove') assert.equal(rig.spool.read(id).kind, 'gone');
    else assert.deepEqual(left(id), to.slice(begun.length));
    if (action === 'remove') return;
    assert.deepEqual(await tools.do('release', [id], patience), [{ id, result: 'done' }]);
    await eventually(() => rig.manager.figures.depth === 0);
    assert.deepEqual(delivered(), to);
  });

test('a hold of a message to two hops comes between the transactions of both', async () => {
  const to = [...addresses('a.example', 60), ...addresses('b.example', 60)];
  const id = await rig.enter('s@b.example', to);
  const tools = begin(0, (key) => sleep(key === 'a.example' ? 7 : 11));
  await rig.manager.start();
  await eventually(() => begun.length >= 6);
  assert.deepEqual(await tools.do('hold', [id], patience), [{ id, result: 'done' }]);
  const after = begun.length;
  await eventually(() => !rig.manager.isDelivering(id));
  assert.deepEqual([begun.length, ended], [after, after]);
  assert.equal(left(id).length, to.length - after);
  await tools.do('release', [id], patience);
  await eventually(() => rig.manager.figures.depth === 0);
  assert.deepEqual(delivered().toSorted(), to.toSorted());
});

/** The third transaction ends when `open` is called. */
async function whileTheThirdGoesOn(to: readonly string[]) {
  const gate = Promise.withResolvers<void>();
  const id = await rig.enter('s@b.example', to);
  const tools = begin(0, async () => (begun.length === 3 ? gate.promise : undefined));
  await rig.manager.start();
  await eventually(() => begun.length === 3);
  return { id, tools, open: () => gate.resolve() };
}

test('a person whose patience ends is told that it is being delivered, and changes nothing later', async () => {
  const to = addresses('a.example', 10);
  const { id, tools, open } = await whileTheThirdGoesOn(to);
  const caller = new AbortController();
  const asked = tools.do('remove', [id, 'none'], () => caller.signal);
  await eventually(() => rig.manager.actions.changing(id) !== undefined);
  caller.abort();
  const expected = [
    { id, result: 'delivering' },
    { id: 'none', result: 'gone' },
  ];
  assert.deepEqual(await asked, expected);
  assert.deepEqual(await tools.do('hold', [id], () => caller.signal), [expected[0]]);
  assert.deepEqual(await tools.do('hold', [id]), [expected[0]]);
  open();
  await eventually(() => rig.manager.figures.depth === 0);
  assert.deepEqual(delivered(), to);
});

test('an action on a message that ends in the present transaction says that it is gone', async () => {
  const to = addresses('a.example', 3);
  const { id, tools, open } = await whileTheThirdGoesOn(to);
  const asked = Promise.all([tools.do('hold', [id], patience), tools.do('remove', [id], patience)]);
  await eventually(() => rig.manager.actions.changing(id) !== undefined);
  open();
  assert.deepEqual(await asked, [[{ id, result: 'gone' }], [{ id, result: 'gone' }]]);
  assert.deepEqual([delivered(), rig.manager.figures.depth], [to, 0]);
});

test('those who wait for one message have their turns in the order in which they asked', async () => {
  const { id, tools, open } = await whileTheThirdGoesOn(addresses('a.example', 10));
  const asked = (['hold', 'remove', 'remove', 'hold'] as const).map((action) =>
    tools.do(action, [id], patience),
  );
  await eventually(() => rig.manager.actions.changing(id) !== undefined);
  open();
  const results = (await Promise.all(asked)).map(([one]) => one?.result);
  assert.deepEqual(results, ['done', 'done', 'gone', 'gone']);
  await eventually(() => !rig.manager.isDelivering(id));
  assert.deepEqual([begun.length, rig.manager.figures.depth], [3, 0]);
});

test('an action whose client has gone away is not done later', async (context) => {
  const to = addresses('a.example', 10);
  const { id, tools, open } = await whileTheThirdGoesOn(to);
  // The patience alone never ends here.
  context.mock.method(AbortSignal, 'timeout', () => new AbortController().signal);
  const folder = mkdtempSync(join(tmpdir(), 'turns-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const socketPath = join(folder, 'queue.sock');
  const control = await serveControl(socketPath, { queue: tools, history: undefined, suppressed: undefined });
  context.after(() => control.retire());
  const asked = request({ socketPath, method: 'POST', path: '/remove', agent: false }).on(
    'error',
    () => 'gone',
  );
  asked.end(JSON.stringify({ ids: [id] }));
  await eventually(() => rig.manager.actions.changing(id) !== undefined);
  asked.destroy();
  await eventually(() => rig.manager.actions.changing(id) === undefined);
  open();
  await eventually(() => rig.manager.figures.depth === 0);
  assert.deepEqual(delivered(), to);
});

test('an action that could not be written before the relay stopped is not told as that of a message that is gone', async (context) => {
  const id = await rig.enter('s@b.example', ['a@a.example']);
  rig.begin(() => NOBODY);
  await rig.manager.start();
  await eventually(() => rig.count('deferred') === 1 && !rig.manager.isDelivering(id));
  context.mock.method(rig.spool, 'settle', () => Promise.reject(new Error('database or disk is full')));
  const asked = new QueueTools(rig.manager, rig.spool).do('remove', [id]);
  const isTold = assert.rejects(asked, /not written, ask again/);
  await eventually(() => rig.count('progress_not_written') === 1);
  await rig.manager.drain(0);
  await isTold;
  assert.equal(rig.spool.read(id).kind, 'message');
});

test('the sender of a message that goes in many slow transactions is told in time that it is late', async () => {
  const policy = policyOf();
  const to = addresses('a.example', 12);
  await rig.enter('s@b.example', to);
  /** How many transactions there were when the sender was told. */
  const told: number[] = [];
  rig.begin(
    async ({ key }, parcel): Promise<AttemptResult> => {
      if (key === 'b.example') {
        told.push(begun.length);
        return answers(parcel);
      }
      begun.push({ key, to: parcel.to });
      rig.now += HOUR;
      await rig.manager.actions.sweep();
      return answers(parcel, (address) => (address === parcel.to[0] ? undefined : tooMany));
    },
    { ...policy, queue: { ...policy.queue, delayWarningSeconds: 4 * 3600 } },
  );
  await rig.manager.start();
  await eventually(() => rig.manager.figures.depth === 0);
  assert.deepEqual(delivered().toSorted(), [...to, 's@b.example'].toSorted());
  assert.equal(told.length, 1);
  assert.ok((told[0] ?? 0) <= 7, `after ${told[0]} hours`);
});

test('the sender of a message to two hops whose transactions overlap is told in time that it is late', async () => {
  const policy = policyOf();
  const to = [...addresses('a.example', 30), ...addresses('c.example', 30)];
  await rig.enter('s@b.example', to);
  let toldAfter = Number.POSITIVE_INFINITY;
  rig.begin(
    async ({ key }, parcel): Promise<AttemptResult> => {
      if (key === 'b.example') {
        toldAfter = Math.min(toldAfter, begun.length);
        return answers(parcel);
      }
      begun.push({ key, to: parcel.to });
      rig.now += HOUR / 4;
      await rig.manager.actions.sweep();
      await sleep(key === 'a.example' ? 7 : 11);
      return answers(parcel, (address) => (address === parcel.to[0] ? undefined : tooMany));
    },
    { ...policy, queue: { ...policy.queue, delayWarningSeconds: 4 * 3600 } },
  );
  await rig.manager.start();
  await eventually(() => rig.manager.figures.depth === 0);
  assert.equal(rig.count('returned'), 1);
  assert.ok(toldAfter <= 24, `after ${toldAfter / 4} hours`);
});

test('a message that was released is delivered though it could not be read just then', async (context) => {
  const id = await rig.enter('s@b.example', ['a@a.example']);
  const tools = begin();
  await rig.manager.actions.hold(id);
  await rig.manager.start();
  const settle = rig.spool.settle.bind(rig.spool);
  context.mock.method(rig.spool, 'settle', async (...args: Parameters<typeof settle>) => {
    await settle(...args);
    const { mock } = context.mock.method(rig.spool, 'read', () => {
      mock.restore();
      throw new Error('The queue is being recovered');
    });
  });
  await assert.rejects(tools.do('release', [id]), /recovered/);
  await eventually(() => delivered().length === 1);
});
