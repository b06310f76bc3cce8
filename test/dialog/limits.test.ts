/** Each limit with the reply that the RFCs have for it; a session within them goes on. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { hashPassword } from '#crds/passwordhash.ts';
import { plain } from '#test/kit/sasl.ts';
import { messageText } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { Rig, type Story } from './rig.ts';

const clients = { networks: ['127.0.0.0/8'] };

const story = async (times: Readonly<Record<string, string>>): Promise<Story> => ({
  listeners: {
    smtp: {},
    login: { auth: 'Required', clients: { credentialsSecretName: 'users' } },
    other: { auth: 'Required', clients: { credentialsSecretName: 'others' } },
  },
  inbound: {
    clients,
    limits: {
      messageSize: '10k',
      recipients: 2,
      messagesPerClientPerMinute: 3,
      messagesPerLoginPerMinute: 1,
      errorsPerSession: 5,
      ...times,
    },
  },
  secrets: {
    users: { app: await hashPassword('secret', 4096) },
    others: { app: await hashPassword('other secret', 4096) },
  },
});

let rig: Rig;
let small: Rig;

before(async () => {
  rig = await Rig.start(await story({}));
  small = await Rig.start({
    listeners: { smtp: {} },
    inbound: { clients, limits: { connections: 2 } },
    spec: (hop) => ({
      outbound: {
        tls: { discover: [] },
        routes: [{ recipientDomains: ['quick.example'], hosts: [{ host: '127.0.0.1', port: hop }] }],
        // Nobody listens there, so that mail stays in the queue.
        smartHosts: [{ host: '127.0.0.1', port: 1 }],
      },
      queue: { maxMessages: 1 },
    }),
  });
});

after(async () => {
  await rig?.end();
  await small?.end();
});

test('size: 552 5.3.4 at MAIL and in flight', async () => {
  const client = await rig.client('smtp', '127.0.0.2');
  assert.match(await client.command('EHLO client.example'), /SIZE 10000$/);
  assert.match(await client.command('MAIL FROM:<a@x.example> SIZE=10001'), /^552 5\.3\.4/);
  assert.match(await client.command('MAIL FROM:<a@x.example> SIZE=x'), /^501/);
  const tooLarge = messageText('large', 20_000);
  assert.match(await client.send('a@x.example', ['b@y.example'], tooLarge), /^552 5\.3\.4/);
  assert.match(await client.send('a@x.example', ['b@y.example'], messageText('fits')), /^250/);
});

test('recipients: 452 4.5.3 beyond them, and the message goes to those before; they are no errors', async () => {
  const client = await rig.client('smtp', '127.0.0.3');
  await client.command('MAIL FROM:<a@x.example>');
  for (const n of [1, 2]) assert.match(await client.command(`RCPT TO:<b${n}@y.example>`), /^250/);
  for (let n = 3; n < 12; n++)
    assert.match(await client.command(`RCPT TO:<b${n}@y.example>`), /^452 4\.5\.3/);
  assert.match(await client.command('DATA'), /^354/);
  assert.match(await client.command(`${messageText('two')}\r\n.`), /^250/);
});

test('recipients: one that is repeated counts each time, and gets one copy', async () => {
  const client = await rig.client('smtp', '127.0.0.10');
  await client.command('MAIL FROM:<a@x.example>');
  const codes: string[] = [];
  for (const to of ['b@y.example', 'B@y.example', 'b@Y.example'])
    codes.push((await client.command(`RCPT TO:<${to}>`)).slice(0, 9));
  assert.deepEqual(codes, ['250 Accep', '250 Accep', '452 4.5.3']);
  await client.command('RSET');
  assert.match(await client.command('RCPT TO:<b@y.example>'), /^503/);
  assert.match(await client.send('a@x.example', ['b@y.example'], messageText('repeated')), /^250/);
});

test('messages per client and minute: 450 4.7.1, others are not concerned', async () => {
  const client = await rig.client('smtp', '127.0.0.4');
  // A minute may turn meanwhile.
  const replies: string[] = [];
  for (let n = 0; n < 7; n++) {
    replies.push(await client.command('MAIL FROM:<a@x.example>'));
    await client.command('RSET');
  }
  assert.ok(
    replies.some((reply) => /^450 4\.7\.1 Too many messages from your address/.test(reply)),
    replies.join(),
  );
  const other = await rig.client('smtp', '127.0.0.5');
  assert.match(await other.command('MAIL FROM:<a@x.example>'), /^250/);
});

test('messages per login and minute: 450 4.7.1, from whatever address', async () => {
  const replies: string[] = [];
  for (const from of ['127.0.0.6', '127.0.0.7', '127.0.0.8']) {
    const client = await rig.secureClient('login', {}, from);
    assert.match(await client.command(`AUTH PLAIN ${plain('app', 'secret')}`), /^235/);
    replies.push(await client.command('MAIL FROM:<a@x.example>'));
  }
  assert.ok(
    replies.some((reply) => /^450 4\.7\.1 Too many messages of this login/.test(reply)),
    replies.join(),
  );
  // The Secret of another listener has a user of the same name, who is another one.
  const other = await rig.secureClient('other', {}, '127.0.0.11');
  assert.match(await other.command(`AUTH PLAIN ${plain('app', 'other secret')}`), /^235/);
  assert.match(await other.command('MAIL FROM:<a@x.example>'), /^250/);
});

test('errors: 421 4.7.0 beyond them, whoever finds them', async () => {
  const client = await rig.client('smtp', '127.0.0.9');
  const commands = ['RCPT TO:<b@y.example>', 'MAIL FROM:<a', 'WIZ', 'BDAT 10', 'DATA'];
  for (const command of commands) assert.match(await client.command(command), /^5/, command);
  assert.match(await client.command('DATA'), /^421 4\.7\.0 Too many refused commands/);
  await until('the session to end', () => client.ended);
  await rig.metric('mailrelay_refusals_total{reason="too_many_errors"} 1');
});

test('sessions in all: 421 4.3.2, until one ends', async () => {
  const open = [await small.client('smtp'), await small.client('smtp')];
  const refused = await small.connect('smtp');
  assert.match(await refused.reply(), /^421 4\.3\.2 Too many connections/);
  await open[0]?.quit();
  await until('room for another', async () => {
    const client = await small.connect('smtp');
    const reply = await client.reply();
    client.close();
    return reply.startsWith('220');
  });
  for (const client of open) client.close();
  await small.relay.waitForMetrics(/^mailrelay_refusals_total\{reason="sessions"\} [1-9]/m);
});

test('messages that leave the queue as fast as they come do not fill it', async () => {
  await until('the sessions to be gone', async () => (await small.relay.status()).sessions.open === 0);
  const client = await small.client('smtp');
  // The router tells twice a second that the queue is empty again.
  const room = () =>
    until('room for a message', async () => {
      await client.command('RSET');
      return (await client.command('MAIL FROM:<a@x.example>')).startsWith('250');
    });
  for (const id of ['quick-1', 'quick-2', 'quick-3']) {
    await room();
    for (const line of ['RCPT TO:<b@quick.example>', 'DATA', `${messageText(id)}\r\n.`])
      assert.match(await client.command(line), /^[23]5/);
    await small.arrived(id);
  }
  await room();
  await client.quit();
});

test('messages in the queue: 452 4.3.1 beyond them', async () => {
  await until('the sessions to be gone', async () => (await small.relay.status()).sessions.open === 0);
  const [client, other] = [await small.client('smtp'), await small.client('smtp')];
  // Both begin while there is room for one.
  for (const line of ['MAIL FROM:<a@x.example>', 'RCPT TO:<b@y.example>', 'DATA'])
    for (const one of [client, other]) assert.match(await one.command(line), /^[23]5/);
  assert.match(await client.command(`${messageText('first')}\r\n.`), /^250/);
  assert.match(await other.command(`${messageText('second')}\r\n.`), /^452 4\.3\.1 The queue is full/);
  assert.match(await client.command('MAIL FROM:<a@x.example>'), /^452 4\.3\.1 The queue is full/);
});

test('a session without a command, and a message that takes too long: 421 4.4.2', async () => {
  // The drips of the slow one come well within the first.
  await rig.edit(await story({ idleTimeout: '10s', messageTimeout: '12s' }));
  const idle = await rig.client('smtp', '127.0.0.10');
  const slow = await rig.client('smtp', '127.0.0.11');
  await slow.command('MAIL FROM:<a@x.example>');
  await slow.command('RCPT TO:<b@y.example>');
  await slow.command('DATA');
  const drip = setInterval(() => slow.write('x\r\n'), 500);
  try {
    assert.match(await idle.reply(), /^421 4\.4\.2 Idle for too long/);
    assert.match(await slow.reply(), /^421 4\.4\.2 The message takes too long/);
  } finally {
    clearInterval(drip);
  }
});
