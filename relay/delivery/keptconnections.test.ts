/** Kept connections that are slow or dead: they take neither the time of the attempt nor the other connections with them. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, test } from 'node:test';
import type { Provider } from '#crds/policyfile.ts';
import { holdTime } from '#test/kit/heldtime.ts';
import { clientWith, wayTo } from '#test/kit/hopway.ts';
import { type Heard, startLineHop, takeAll } from '#test/kit/linehop.ts';
import { hopTo, makeParcel, policyOf } from '#test/kit/relayrig.ts';
import { eventually } from '#test/kit/wait.ts';
import { NO_MATERIALS } from '../task/materials.ts';
import { AttemptBudget } from './budget.ts';

const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

const PARCEL = makeParcel('Subject: x\r\n\r\nx\r\n');

/** A client with so many kept connections to a hop. `heard` is asked first. */
async function withKept(count: number, heard: Heard) {
  const hop = await startLineHop((line, socket) => heard(line, socket) ?? takeAll(line));
  const client = clientWith();
  ends.push(
    () => client.close(),
    () => hop.close(),
  );
  const way = wayTo(hopTo(hop.port, { tlsLevel: 'None' }));
  const budget = new AttemptBudget();
  await Promise.all(Array.from({ length: count }, () => client.deliver(way, '127.0.0.1', PARCEL, budget)));
  budget.close();
  assert.equal(hop.sockets.length, count);
  return {
    hop,
    resume: (budget: AttemptBudget) => client.resume(way, PARCEL, budget),
    deliver: (budget: AttemptBudget) => client.deliver(way, '127.0.0.1', PARCEL, budget),
  };
}

test('an attempt whose time is over leaves the other kept connections alone', async () => {
  let isSlow = false;
  const { hop, resume } = await withKept(3, (line) => (isSlow && line.startsWith('MAIL') ? '' : null));
  isSlow = true;
  const budget = new AttemptBudget(50);
  assert.equal(await resume(budget), undefined);
  assert.ok(await eventually(() => hop.sockets.some(({ destroyed }) => destroyed)));
  assert.equal(hop.sockets.filter(({ destroyed }) => destroyed).length, 1);
});

test('after a kept connection that says nothing for five minutes no other one is tried', async (context) => {
  const pass = holdTime(context);
  const asked = Promise.withResolvers<void>();
  let silent: Socket | undefined;
  const { hop, resume, deliver } = await withKept(1, (line, socket) => {
    if (socket !== silent) return null;
    if (line === 'DATA') asked.resolve();
    return '';
  });
  [silent] = hop.sockets;
  const budget = new AttemptBudget();
  const resumed = resume(budget);
  await asked.promise;
  pass(5 * 60_000 - 1_000);
  // Another delivery keeps its connection.
  assert.equal((await deliver(budget)).kind, 'answered');
  pass(1_000);
  assert.equal(await resumed, undefined);
  assert.equal(budget.isOver, false);
  assert.equal(hop.lines.filter((line) => line.startsWith('MAIL')).length, 3);
  budget.close();
});

test('a kept connection that its hop has closed is none that can give way to another domain', async () => {
  const limits = { connections: 1, messagesPerMinute: null, messagesPerConnection: 100 };
  const provider: Provider = { name: 'big', mxHosts: ['*.big.example'], limits, warmUp: null, retry: null };
  const hop = await startLineHop(takeAll);
  const client = clientWith(NO_MATERIALS, policyOf({}, { providers: [provider] }));
  ends.push(
    () => client.close(),
    () => hop.close(),
  );
  const deliver = async (mxOf: string) => {
    const budget = new AttemptBudget(5_000);
    const way = wayTo({ ...hopTo(hop.port, { host: 'mx.big.example', tlsLevel: 'None' }), mxOf });
    const result = await client.deliver(way, '127.0.0.1', PARCEL, budget);
    budget.close();
    return result.kind;
  };
  assert.equal(await deliver('a.example'), 'answered');
  hop.sockets[0]?.end();
  assert.ok(await eventually(() => hop.sockets[0]?.closed === true));
  assert.deepEqual([await deliver('b.example'), await deliver('c.example')], ['answered', 'answered']);
});
