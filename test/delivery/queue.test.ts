/** The queue in the hands of a person, live against a relay that delivers; and a queue that is as long as it may be. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { QueueAction } from '#relay/queue/tools.ts';
import { Hop } from '#test/kit/hop.ts';
import { freePort } from '#test/kit/ports.ts';
import { askQueue, doToQueue, listQueue } from '#test/kit/queuetools.ts';
import { mailrelay, type TestRelay } from '#test/kit/relay.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, manifestOf, type Sections, startRelay, submit } from './story.ts';

let relay: TestRelay;
let hop: Hop;
let gate = Promise.withResolvers<void>();
let sections: Sections;

before(async () => {
  const port = await freePort();
  hop = await Hop.start({
    port,
    answer: async ({ step }) => {
      if (step === 'message') await gate.promise;
      return undefined;
    },
  });
  await hop.down();
  sections = {
    outbound: `tls: {level: None, discover: []}\nsmartHosts: [{host: 127.0.0.1, port: ${port}}]`,
    queue: '{maxMessages: 4}',
  };
  relay = await startRelay(sections);
});

after(async () => {
  gate.resolve();
  await relay?.remove();
  await hop?.down();
});

async function change(to: Sections): Promise<void> {
  const before = (await relay.status()).policy.hash;
  relay.edit(manifestOf(relay.ports[0], to));
  await until('the policy', async () => (await relay.status()).policy.hash !== before);
}

const send = (id: string) => accepted(relay, { id, to: [`${id}@far.example`] });
const listed = async () =>
  Object.fromEntries(
    (await listQueue(relay)).map(({ recipients, state }) => [recipients[0]?.address.split('@')[0], state]),
  );

/** It may be tried at this very moment, and longer than an action waits. */
async function does(action: QueueAction, id: string): Promise<void> {
  await until(`the ${action}`, async () => (await doToQueue(relay, action, id))[0]?.result === 'done');
}

/** The router hears of a message a moment after its 250. */
async function lists(expected: Readonly<Record<string, string>>): Promise<void> {
  await until(`the queue to be ${JSON.stringify(expected)}`, async () => {
    const now = await listed();
    if (isDeepStrictEqual(now, expected)) return true;
    throw new Error(`it is ${JSON.stringify(now)}`);
  });
}

test('list, show and export tell of what waits, and why', async () => {
  const id = await send('one');
  await send('two');
  const [entry] = await until('the reasons', async () => {
    const all = await listQueue(relay);
    return all.length === 2 && all.every(({ recipients: [to] }) => to?.reason) ? all : undefined;
  });
  assert.deepEqual([entry?.id, entry?.from, entry?.state], [id, 'me@client.example', 'queued']);
  assert.match(entry?.recipients[0]?.reason ?? '', /connection refused/);
  assert.deepEqual(JSON.parse((await askQueue(relay, 'GET', `/queue/${id}`)).body).id, id);
  const { body } = await askQueue(relay, 'GET', `/queue/${id}/message`);
  assert.match(body, /^Received: from client\.example/);
  assert.match(body, /^X-Test-Id: one\r$/m);
  assert.match(body, /end\r\n$/);
});

test('what nobody asked for is told, and changes nothing', async () => {
  for (const [method, path, body, status] of [
    ['GET', '/queue/nosuchmessage', '', 404],
    ['GET', '/elsewhere', '', 404],
    ['POST', '/explode', '{"ids": []}', 404],
    ['POST', '/remove', 'not JSON', 400],
    ['POST', '/remove', '{"ids": "all"}', 400],
    ['POST', '/remove', '', 400],
  ] as const) {
    const said = await askQueue(relay, method, path, body);
    assert.equal(said.status, status, `${method} ${path}`);
    assert.match(JSON.parse(said.body).error, /\w/);
  }
  assert.deepEqual(await doToQueue(relay, 'remove', 'nosuchmessage'), [
    { id: 'nosuchmessage', result: 'gone' },
  ]);
  await lists({ one: 'queued', two: 'queued' });
});

test('a queue that is full answers 452 4.3.1, under a new policy too, and takes mail again when it is shorter', async () => {
  await send('three');
  const four = await send('four');
  const full = { one: 'queued', two: 'queued', three: 'queued', four: 'queued' };
  await lists(full);
  // Listeners hear of it when the status does.
  await until('the depth', async () => (await relay.status()).queue.depth === 4);
  assert.match(await submit(relay, { id: 'five', to: ['five@far.example'] }), /^452 4\.3\.1 /);
  await change({ ...sections, inbound: 'limits: {recipients: 7}' });
  assert.match(await submit(relay, { id: 'five', to: ['five@far.example'] }), /^452 4\.3\.1 /);
  await does('remove', four);
  await until(
    'room',
    async () => !(await submit(relay, { id: 'six', to: ['six@far.example'] })).startsWith('452'),
  );
  const { four: _, ...others } = full;
  await lists({ ...others, six: 'queued' });
  for (const { id, recipients } of await listQueue(relay))
    if (!/^(one|two|three)@/.test(recipients[0]?.address ?? '')) await does('remove', id);
});

test('a queue that has as many bytes as it may answers 452 4.3.1 to what would be too much', async () => {
  const before = await listed();
  await change({ ...sections, queue: '{maxSize: 20k}' });
  const announced = { id: 'big', to: ['big@far.example'], mail: 'SIZE=30000' };
  assert.match(await submit(relay, announced), /^452 4\.3\.1 /);
  await does('remove', await send('small'));
  await lists(before);
  await change(sections);
});

test('what is held stays, over a restart too, until it is released', async () => {
  const [one] = await listQueue(relay);
  await does('hold', one?.id ?? '');
  assert.equal(await relay.stop(), 0);
  await relay.up();
  await until('the held one', async () => (await relay.status()).queue.held === 1);
  await lists({ one: 'held', two: 'queued', three: 'queued' });
  gate.resolve();
  await hop.up();
  await until('the others', async () => {
    await doToQueue(relay, 'retry', ...(await listQueue(relay)).map(({ id }) => id));
    return (await relay.status()).queue.depth === 1;
  });
  assert.deepEqual(hop.ids().toSorted(), ['three', 'two']);
  await does('release', one?.id ?? '');
  await until('the released one', () => hop.ids().includes('one'));
  await until('an empty queue', async () => (await relay.status()).queue.depth === 0);
});

test('what is being delivered is left alone, and what was removed never arrives', async () => {
  gate = Promise.withResolvers();
  const busy = await send('busy');
  await until('the message on its way', () => hop.lines('message').some((text) => text.includes('busy')));
  const asked = (['hold', 'remove'] as const).map((action) => doToQueue(relay, action, busy));
  for (const done of asked) assert.deepEqual(await done, [{ id: busy, result: 'delivering' }]);
  assert.deepEqual(await doToQueue(relay, 'release', busy), [{ id: busy, result: 'queued' }]);
  // A retry wants just that.
  const { status, stdout } = await mailrelay(['queue', 'retry', busy, '--state', relay.stateDir]);
  assert.deepEqual([status, stdout], [0, `${busy} is still being tried\n`]);
  const removed = doToQueue(relay, 'remove', busy);
  gate.resolve();
  assert.deepEqual(await removed, [{ id: busy, result: 'gone' }]);
  assert.equal(hop.ids().filter((id) => id === 'busy').length, 1);
});
