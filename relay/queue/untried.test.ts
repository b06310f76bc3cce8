/** A delivery that offers nothing costs no message of a pace and no turn. The spool is real, the answers are not. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { makeFailure } from '#crds/failure.ts';
import type { Provider } from '#crds/policyfile.ts';
import { answers, QueueRig } from '#test/kit/queuerig.ts';
import { policyOf } from '#test/kit/relayrig.ts';
import { eventually } from '#test/kit/wait.ts';

let rig: QueueRig;

beforeEach(() => {
  rig = new QueueRig();
});
afterEach(() => rig.remove());

const providerWith = (limits: Partial<Provider['limits']>, warmUp: Provider['warmUp'] = null): Provider => ({
  name: 'big',
  mxHosts: ['*'],
  limits: { connections: null, messagesPerMinute: null, messagesPerConnection: 100, ...limits },
  warmUp,
  retry: null,
});

/**
 * Much mail of a sender arrives at a destination, and a good message after it. The first delivery of it does not end
 * before `act` is done with the others. Resolves with the order of the senders, when the good message was delivered.
 */
async function sendAfterSpam(act: (id: string) => Promise<unknown>, limits: object, others = 0) {
  const sent: string[] = [];
  const gate = Promise.withResolvers<void>();
  const manager = rig.begin(
    async (_, parcel) => {
      sent.push(parcel.from);
      await gate.promise;
      return answers(parcel);
    },
    policyOf({}, { limits: { ...policyOf().outbound.limits, connectionsPerDestination: 1, ...limits } }),
  );
  const spam: string[] = [];
  for (let index = 0; index < 50; index++)
    spam.push(await rig.enter('spam@here.example', ['a@mx.example'], rig.now - 100 + index));
  await rig.enter('good@here.example', ['a@mx.example']);
  await manager.start();
  await eventually(() => sent.length === 1);
  for (let index = 0; index < others; index++)
    manager.add(await rig.enter('other@here.example', ['a@mxother.example']));
  for (const id of spam) if (!manager.isDelivering(id)) await act(id);
  gate.resolve();
  await eventually(() => sent.includes('good@here.example'));
  return sent;
}

const hour = { startDate: '2999-01-01', days: 30, messagesPerHour: 5 };
for (const [what, provider, limits] of [
  ['the destination', undefined, { messagesPerDestinationPerMinute: 5 }],
  ['its provider', providerWith({ messagesPerMinute: 5 }), {}],
  ['a warm-up', providerWith({ messagesPerMinute: 100 }, hour), {}],
] as const)
  for (const action of ['hold', 'remove'] as const)
    test(`after ${action}, mail before a message costs nothing of the pace of ${what}`, async () => {
      if (provider) rig.providers = { 'mx.example': provider };
      const sent = await sendAfterSpam((id) => rig.manager.actions[action](id), limits);
      assert.deepEqual(sent, ['spam@here.example', 'good@here.example']);
    });

test('mail without its key costs nothing of the pace', async () => {
  const failure = makeFailure({ cause: 'local', status: '4.7.0', text: 'no key' });
  let isLost = false;
  rig.sign = async ({ record }) =>
    isLost && record.from === 'spam@here.example'
      ? { kind: 'failed', failure }
      : { kind: 'header', header: null };
  const limits = { messagesPerDestinationPerMinute: 5 };
  const sent = await sendAfterSpam(async () => {
    isLost = true;
  }, limits);
  assert.deepEqual(sent, ['spam@here.example', 'good@here.example']);
});

test('mail that is removed costs its destination no turn in the line of the provider', async () => {
  const provider = providerWith({ connections: 1 });
  rig.providers = { 'mx.example': provider, 'mxother.example': provider };
  const sent = await sendAfterSpam((id) => rig.manager.actions.remove(id), {}, 20);
  const before = sent.slice(0, sent.indexOf('good@here.example'));
  assert.deepEqual(before, ['spam@here.example', 'other@here.example']);
});

test('what was offered counts, also beside what was not', async () => {
  const sent: string[] = [];
  const limits = { ...policyOf().outbound.limits, messagesPerDestinationPerMinute: 5 };
  const manager = rig.begin(
    (_, parcel) => {
      sent.push(...parcel.to);
      return answers(parcel);
    },
    policyOf({}, { limits }),
  );
  const failure = makeFailure({ cause: 'local', status: '4.7.0', text: 'no key' });
  rig.sign = async ({ record }) =>
    record.from === '' ? { kind: 'failed', failure } : { kind: 'header', header: null };
  for (let index = 0; index < 40; index++)
    await rig.enter(index % 2 === 0 ? '' : 'me@here.example', ['a@hop.example'], rig.now - 100 + index);
  await manager.start();
  await eventually(() => sent.length >= 5 && !manager.ids().some((id) => manager.isDelivering(id)));
  assert.equal(sent.length, 5);
});
