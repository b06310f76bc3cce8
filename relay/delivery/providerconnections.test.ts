/** The connections to a provider, with a real hop: idle ones count, and a socket counts until it is closed. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Provider } from '#crds/policyfile.ts';
import { Hop } from '#test/kit/hop.ts';
import { clientWith, wayTo } from '#test/kit/hopway.ts';
import { freePort } from '#test/kit/ports.ts';
import { hopTo, makeParcel, policyOf } from '#test/kit/relayrig.ts';
import { eventually } from '#test/kit/wait.ts';
import { NO_MATERIALS } from '../task/materials.ts';
import { AttemptBudget } from './budget.ts';

const PARCEL = makeParcel('Subject: x\r\n\r\n', { from: 'me@client.example' });

/** A client whose policy has one provider, and a hop of this provider. */
async function rig(t: TestContext, limits: Partial<Provider['limits']>) {
  const port = await freePort();
  const hop = await Hop.start({ port });
  const none = { connections: null, messagesPerMinute: null, messagesPerConnection: 100 };
  const provider = {
    name: 'big',
    mxHosts: ['*.big.example'],
    limits: { ...none, ...limits },
    warmUp: null,
    retry: null,
  };
  const client = clientWith(NO_MATERIALS, policyOf({}, { providers: [provider] }));
  t.after(async () => {
    client.close();
    await hop.down();
  });
  const deliver = async (domain: string, host = 'mx.big.example', budget = new AttemptBudget()) => {
    const way = wayTo({ ...hopTo(port, { host, tlsLevel: 'None' }), mxOf: domain });
    const result =
      (await client.resume(way, PARCEL, budget)) ?? (await client.deliver(way, '127.0.0.1', PARCEL, budget));
    budget.close();
    return result;
  };
  return { hop, deliver };
}

test('a provider has its own number of messages for each connection, and other hosts keep theirs', async (t) => {
  const { hop, deliver } = await rig(t, { messagesPerConnection: 2 });
  for (let index = 0; index < 5; index++) await deliver('a.example');
  assert.equal(hop.sessions, 3);
  for (let index = 0; index < 5; index++) await deliver('a.example', 'mx.other.example');
  assert.equal(hop.sessions, 4);
});

test('an idle connection for one domain gives way to another domain, and is closed before the next one opens', async (t) => {
  const { hop, deliver } = await rig(t, { connections: 2 });
  for (let index = 0; index < 20; index++) await deliver(`d${index}.example`);
  await Promise.all(Array.from({ length: 20 }, (_, index) => deliver(`e${index}.example`)));
  assert.deepEqual([hop.taken.length, hop.mostUnfinished], [40, 2]);
});

test('an attempt without time gets no connection, and leaves none behind', async (t) => {
  const { hop, deliver } = await rig(t, { connections: 1 });
  await deliver('a.example');
  const budget = new AttemptBudget(0);
  await eventually(() => budget.isOver);
  const late = await deliver('b.example', 'mx.big.example', budget);
  const later = await deliver('c.example');
  assert.deepEqual([late.kind === 'answered' || late.failure.cause, later.kind], ['local', 'answered']);
  assert.equal(hop.mostUnfinished, 1);
});
