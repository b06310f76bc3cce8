/** What keeps old mail from being returned, with a real spool and a courier whose answers come from each test. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { NOBODY, QueueRig } from '#test/kit/queuerig.ts';
import { policyOf } from '#test/kit/relayrig.ts';
import { eventually } from '#test/kit/wait.ts';

const DAY = 86_400_000;
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
