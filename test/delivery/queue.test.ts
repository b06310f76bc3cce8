/** The queue in the hands of a person, live against a relay that delivers; and a queue that is as long as it may be. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Hop } from '#test/kit/hop.ts';
import { freePort } from '#test/kit/ports.ts';
import { askQueue, doToQueue, listQueue } from '#test/kit/queuetools.ts';
import type { TestRelay } from '#test/kit/relay.ts';
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

test('list, show and export tell of what waits, and why', async () => {
  const id = await send('one');
  await send('two');
  const [entry] = await until('the reasons', async () => {
    const all = await listQueue(relay);
    return all.length === 2 && all.every(({ recipients: [to] }) => to?.reason) ? all : undefined;
  });
  assert.deepEqual([entry?.id, entry?.from, entry?.state], [id, 'me@client.example', 'queued']);
  assert.match(entry?.recipients[0]?.reason ?? '', /ECONNREFUSED/);
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
  assert.deepEqual(await listed(), { one: 'queued', two: 'queued' });
});

test('a queue that is full answers 452 4.3.1, under a new policy too, and takes mail again when it is shorter', async () => {
  await send('three');
  const four = await send('four');
  const refusal = (await until('the limit', async () => {
    const reply = await submit(relay, { id: 'five', to: ['five@far.example'] });
    return reply.startsWith('452') ? reply : undefined;
  })) as string;
  assert.match(refusal, /^452 4\.3\.1 /);
  const before = await listed();
  await change({ ...sections, inbound: 'limits: {recipients: 7}' });
  assert.match(await submit(relay, { id: 'five', to: ['five@far.example'] }), /^452 4\.3\.1 /);
  assert.deepEqual(await doToQueue(relay, 'remove', four), [{ id: four, result: 'done' }]);
  await until(
    'room',
    async () => !(await submit(relay, { id: 'six', to: ['six@far.example'] })).startsWith('452'),
  );
  const { four: _, ...others } = before;
  assert.deepEqual(await listed(), { ...others, six: 'queued' });
  for (const { id, recipients } of await listQueue(relay))
    if (!/^(one|two|three)@/.test(recipients[0]?.address ?? '')) await doToQueue(relay, 'remove', id);
});

test('a queue that has as many bytes as it may answers 452 4.3.1 to what would be too much', async () => {
  const before = await listed();
  await change({ ...sections, queue: '{maxSize: 20k}' });
  const announced = { id: 'big', to: ['big@far.example'], mail: 'SIZE=30000' };
  assert.match(await submit(relay, announced), /^452 4\.3\.1 /);
  await doToQueue(relay, 'remove', await send('small'));
  assert.deepEqual(await listed(), before);
  await change(sections);
});

test('what is held stays, over a restart too, until it is released', async () => {
  const [one] = await listQueue(relay);
  assert.deepEqual(await doToQueue(relay, 'hold', one?.id ?? ''), [{ id: one?.id, result: 'done' }]);
  assert.equal(await relay.stop(), 0);
  await relay.up();
  await until('the held one', async () => (await relay.status()).queue.held === 1);
  assert.deepEqual(await listed(), { one: 'held', two: 'queued', three: 'queued' });
  gate.resolve();
  await hop.up();
  await doToQueue(relay, 'retry', ...(await listQueue(relay)).map(({ id }) => id));
  await until('the others', async () => (await relay.status()).queue.depth === 1);
  assert.deepEqual(hop.ids().toSorted(), ['three', 'two']);
  await doToQueue(relay, 'release', one?.id ?? '');
  await until('the released one', () => hop.ids().includes('one'));
  await until('an empty queue', async () => (await relay.status()).queue.depth === 0);
});

test('what is being delivered is left alone, and what was removed never arrives', async () => {
  gate = Promise.withResolvers();
  const busy = await send('busy');
  await until('the message on its way', () => hop.lines('message').some((text) => text.includes('busy')));
  for (const deed of ['hold', 'remove', 'release'] as const)
    assert.deepEqual(await doToQueue(relay, deed, busy), [{ id: busy, result: 'delivering' }]);
  gate.resolve();
  await until('its end', async () => (await relay.status()).queue.depth === 0);
  assert.equal(hop.ids().filter((id) => id === 'busy').length, 1);
  assert.deepEqual(await doToQueue(relay, 'remove', busy), [{ id: busy, result: 'gone' }]);
});
