/** Mode CutThrough: the client hears what the next hop said, and nothing is kept. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { messageText } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { Rig } from './rig.ts';

let rig: Rig;

before(async () => {
  rig = await Rig.start({
    listeners: { smtp: {} },
    inbound: {
      clients: { networks: ['127.0.0.2'] },
      acceptDomains: ['y.example'],
      limits: { messageSize: '8Mi' },
    },
    spec: (hop) => ({
      queue: { mode: 'CutThrough' },
      outbound: { tls: { discover: [] }, smartHosts: [{ host: '127.0.0.1', port: hop }] },
    }),
    hop: {
      refuse: (address) => ({ 'full@y.example': 452, 'nobody@y.example': 550 })[address],
      refuseMessage: (id) => ({ spam: 554, later: 451 })[id],
    },
  });
});

after(() => rig?.end());

const send = async (id: string, to = 'b@y.example', body = messageText(id)) =>
  (await rig.client('smtp', '127.0.0.2')).send('a@x.example', [to], body);

test('the 250 says that the next hop has the message, with what the relay adds to it', async () => {
  assert.match(await send('one'), /^250 2\.0\.0 Ok: delivered as [0-9a-z]+: /);
  const { text, to } = rig.hop.arrived.find(({ id }) => id === 'one') ?? {};
  assert.deepEqual(to, ['b@y.example']);
  assert.match(text ?? '', /^Received: from client\.example/);
  assert.match(text ?? '', /^Message-ID: /im);
});

test('what the next hop refuses for good is 554, what it puts off is 451, in its words', async () => {
  assert.match(await send('a', 'nobody@y.example'), /^554 5\.\S+ .*refused 550/);
  assert.match(await send('b', 'full@y.example'), /^451 4\.\S+ .*refused 452/);
  assert.match(await send('spam'), /^554 5\.\S+ .*refused 554/);
  assert.match(await send('later'), /^451 4\.\S+ .*refused 451/);
  assert.match(await send('after'), /^250/);
  await rig.metric('mailrelay_refusals_total{reason="next_hop_refused"} 2');
  await rig.metric('mailrelay_refusals_total{reason="next_hop_deferred"} 2');
  await rig.metric('mailrelay_recipients_bounced_total{class="hops"} 2');
  await rig.metric('mailrelay_deferrals_total{class="hops",by="reply"} 2');
  await rig.metric('mailrelay_recipients_delivered_total{class="hops"} 2');
  await rig.metric('mailrelay_delivery_duration_seconds_count 2');
});

test('one recipient at a time: 452 for the others', async () => {
  const client = await rig.client('smtp', '127.0.0.2');
  await client.command('MAIL FROM:<a@x.example>');
  assert.match(await client.command('RCPT TO:<b@y.example>'), /^250/);
  assert.match(await client.command('RCPT TO:<c@y.example>'), /^452 4\.5\.3 One recipient at a time/);
  await client.command('DATA');
  assert.match(await client.command(`${messageText('single')}\r\n.`), /^250/);
  assert.deepEqual(rig.hop.arrived.find(({ id }) => id === 'single')?.to, ['b@y.example']);
});

test('a large message passes through whole', async () => {
  const body = messageText('large', 5_000_000);
  assert.match(await send('large', 'b@y.example', body), /^250/);
  const { text = '' } = rig.hop.arrived.find(({ id }) => id === 'large') ?? {};
  assert.equal(text.slice(text.indexOf('\r\n\r\n')), `${body.slice(body.indexOf('\r\n\r\n'))}\r\n`);
});

test('what is refused, or breaks off, while it streams never arrives', async () => {
  assert.match(
    await send('bare', 'b@y.example', `${messageText('bare')}\r\na\nb`),
    /^554 5\.6\.0 Bare CR or LF/,
  );
  assert.match(await send('huge', 'b@y.example', messageText('huge', 9_000_000)), /^552 5\.3\.4/);
  const { open } = (await rig.relay.status()).sessions;
  const client = await rig.client('smtp', '127.0.0.2');
  for (const line of ['MAIL FROM:<a@x.example>', 'RCPT TO:<b@y.example>', 'DATA']) await client.command(line);
  client.write(messageText('torn', 500_000));
  client.reset();
  await until('the torn session to be over', async () => (await rig.relay.status()).sessions.open <= open);
  assert.match(await send('still'), /^250/);
  const ids = rig.hop.arrived.map(({ id }) => id);
  for (const id of ['bare', 'huge', 'torn']) assert.ok(!ids.includes(id), id);
});

test('without a next hop the message stays with its client: 451', async () => {
  await rig.hop.down();
  assert.match(await send('down'), /^451 4\.\S+ /);
  await rig.metric('mailrelay_deferrals_total{class="hops",by="destination"} 1');
  await rig.hop.up();
  assert.match(await send('up'), /^250/);
});

test('nothing of a message is on disk', () => {
  const files = readdirSync(rig.relay.stateDir, { recursive: true, withFileTypes: true }).filter((one) =>
    one.isFile(),
  );
  for (const { parentPath, name } of files)
    assert.ok(!readFileSync(join(parentPath, name)).includes('X-Test-Id'), name);
});
