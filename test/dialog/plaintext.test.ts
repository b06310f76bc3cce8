/** Who would Required refuse? The status tells, for a week, and a restart does not make it forget. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { messageText } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { Rig } from './rig.ts';

let rig: Rig;

before(async () => {
  rig = await Rig.start({
    listeners: { smtp: {}, strict: { starttls: 'Required' } },
    inbound: { acceptDomains: ['y.example'] },
  });
});

after(() => rig?.end());

const told = async () =>
  (await rig.relay.status()).sessions.plaintext.map(({ network, helo }) => `${network} ${helo}`).toSorted();

const message = ['a@x.example', ['b@y.example'], messageText('plain')] as const;

test('whose mail is taken without TLS is listed by network and name, once; a stranger that is refused is not', async () => {
  for (const from of ['127.0.7.1', '127.0.7.2']) {
    const client = await rig.client('smtp', from);
    assert.match(await client.send(...message), /^250/);
    await client.quit();
  }
  const guessing = await rig.client('smtp', '127.0.6.1');
  for (let n = 0; n < 9; n++) {
    await guessing.command(`HELO name${n}.example`);
    assert.match(await guessing.command('MAIL FROM:<no-domain>'), /^553/);
    assert.match(await guessing.command('MAIL FROM:<a@x.example>'), /^250/);
    assert.match(await guessing.command('RCPT TO:<b@elsewhere.example>'), /^550/);
  }
  await guessing.quit();
  const strict = await rig.client('strict', '127.0.8.1');
  assert.match(await strict.command('MAIL FROM:<a@x.example>'), /^530/);
  await strict.quit();
  const secure = await rig.secureClient('smtp', {}, '127.0.9.1');
  assert.match(await secure.send(...message), /^250/);
  await secure.quit();
  await until('two clients', async () => (await rig.relay.status()).sessions.plaintextClients === 2);
  assert.deepEqual(await told(), ['127.0.7.0/24 client.example']);
  await rig.metric('mailrelay_plaintext_clients 2');
});

test('a name of several words has no control characters and no marks of direction', async () => {
  const client = await rig.client('smtp', '127.0.5.1');
  assert.match(await client.command('EHLO evil \x1b[31mred\x07\x00 \x85\u202e\u2066x'), /^250/);
  assert.match(await client.send(...message), /^250/);
  await until('its name', async () => (await told()).includes('127.0.5.0/24 evil ?[31mred?? ???x'));
});

test('a known client that Required refuses is listed as refused', async () => {
  const strict = await rig.client('strict', '127.0.7.2');
  assert.match(await strict.command('MAIL FROM:<a@x.example>'), /^530/);
  await strict.quit();
  await until('one refused', async () => (await rig.relay.status()).sessions.plaintextRefusedClients === 1);
  const { plaintextClients, plaintextRefused } = (await rig.relay.status()).sessions;
  assert.equal(plaintextClients, 2);
  assert.deepEqual(
    plaintextRefused?.map(({ network }) => network),
    ['127.0.7.0/24'],
  );
  await rig.metric('mailrelay_plaintext_clients 3');
});

test('it is still known after a restart', async () => {
  const before = await told();
  await rig.relay.stop();
  await rig.relay.up();
  assert.deepEqual(await told(), before);
  assert.equal((await rig.relay.status()).sessions.plaintextRefusedClients, 1);
});
