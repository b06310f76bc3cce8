/** The pause of a destination: what lengthens it, and what ends it. The spool is real, the answers come from each test. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import { type AnswerFor, answers, NOBODY, QueueRig } from '#test/kit/queuerig.ts';
import { eventually } from '#test/kit/wait.ts';

const DAY = 86_400_000;
const full = makeFailure({ cause: 'reply', status: '4.2.2', text: '452 4.2.2 full', command: 'RCPT TO' });
let rig: QueueRig;

beforeEach(() => {
  rig = new QueueRig();
});
afterEach(() => rig.remove());

const isIdle = () => !rig.manager.ids().some((id) => rig.manager.isDelivering(id));
const dueOf = (id: string) => rig.manager.findProspect(id, '', 'a@hop.example').due ?? 0;

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

test('an answer after a failure leaves no more than a first pause', async () => {
  await deferOldMessage(() => NOBODY);
  const gate = Promise.withResolvers<void>();
  const manager = rig.begin(async (_, parcel) => {
    if (parcel.to[0] === 'away@hop.example') return NOBODY;
    await gate.promise;
    return answers(parcel);
  });
  const slow = await rig.enter('', ['slow@hop.example']);
  await rig.enter('', ['away@hop.example']);
  await manager.start();
  await eventually(() => rig.count('deferred') === 2);
  const id = await rig.enter('', ['a@hop.example']);
  manager.add(id);
  assert.deepEqual([manager.isDelivering(slow), dueOf(id)], [true, rig.now + 15 * 60_000]);
  gate.resolve();
  await eventually(() => isIdle());
  assert.equal(dueOf(id), rig.now + 1_000);
});
