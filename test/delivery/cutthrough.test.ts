/** Mode CutThrough: the client hears what the next hop says, when it says it, and nothing is kept. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Answer, Hop, type Said } from '#test/kit/hop.ts';
import { freePort } from '#test/kit/ports.ts';
import type { TestRelay } from '#test/kit/relay.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';
import { accepted, startRelay, submit } from './story.ts';

let relay: TestRelay;
let hop: Hop;
let backup: Hop;
let old: Hop;
/** Ends a message in its middle. */
let hasty: Server;
let endEarly: (socket: Socket) => void = () => undefined;
let answer: (said: Said) => Answer | Promise<Answer> = () => undefined;

before(async () => {
  const [port, backupPort, closed, oldPort, hastyPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  hop = await Hop.start({ port, answer: (said) => answer(said) });
  backup = await Hop.start({ port: backupPort });
  old = await Hop.start({ port: oldPort, offers: ['PIPELINING'] });
  hasty = createServer(hastyHop).listen(hastyPort, '127.0.0.1');
  const route = (domain: string, ...ports: number[]) =>
    `  - {recipientDomains: [${domain}], hosts: [${ports.map((one) => `{host: 127.0.0.1, port: ${one}}`).join(', ')}]}`;
  const routes = [
    route('far.example', port),
    route('closed.example', closed),
    route('old.example', oldPort),
    route('hasty.example', hastyPort),
    route('failover.example', closed, port, backupPort),
  ];
  relay = await startRelay({
    outbound: `tls: {level: None, discover: []}\nroutes:\n${routes.join('\n')}`,
    queue: '{mode: CutThrough}',
  });
});

after(async () => {
  await relay?.remove();
  await hop?.down();
  await backup?.down();
  await old?.down();
  hasty?.close();
});

function hastyHop(socket: Socket): void {
  let inMessage = false;
  socket.on('error', () => undefined);
  socket.write('220 hasty\r\n');
  socket.on('data', (chunk) => {
    // What follows is read and thrown away: bytes that nobody reads reset the connection, and take the reply along.
    if (inMessage) return socket.writable ? endEarly(socket) : undefined;
    for (const line of chunk.toString().split('\r\n').slice(0, -1)) {
      inMessage ||= line === 'DATA';
      socket.write(inMessage ? '354 go on\r\n' : '250 ok\r\n');
    }
  });
}

test('the 250 comes after that of the next hop, with its words', async () => {
  const gate = Promise.withResolvers<void>();
  answer = async ({ step }) => {
    if (step === 'message') await gate.promise;
    return step === 'message' ? '250 2.6.0 kept as far-1\n250 \x1b[2Jand\ttabs' : undefined;
  };
  const client = await SmtpClient.connect(relay.ports[0] ?? 0);
  // Nobody would be there to report later.
  assert.doesNotMatch(await client.hello(), /DSN/);
  for (const step of ['MAIL FROM:<me@client.example>', 'RCPT TO:<a@far.example>', 'DATA'])
    assert.match(await client.command(step), /^[23]/);
  client.write(`${messageText('slow')}\r\n.\r\n`);
  await until('the message at the hop', () => hop.lines('message').length === 1);
  assert.equal(client.unread, '');
  gate.resolve();
  assert.match(
    await client.reply(),
    /^250 2\.0\.0 Ok: delivered as \w+: 250-2\.6\.0 kept as far-1 250 +\[2Jand tabs$/,
  );
  await client.quit();
  assert.deepEqual(hop.ids(), ['slow']);
});

for (const [name, at, said, heard] of [
  ['refuses the recipient', 'RCPT', '550 5.1.1 nobody here', /^554 5\.1\.1 nobody here/],
  ['puts the sender off', 'MAIL', '451 4.7.1 greylisted', /^451 4\.7\.1 greylisted/],
  ['refuses the message', 'message', '554 5.7.1 spam', /^554 5\.7\.1 spam/],
  ['puts the message off', 'message', '452 4.3.1 full', /^451 4\.3\.1 full/],
  ['drops before it answers the message', 'message', 'drop', /^451 4\./],
  ['drops at MAIL', 'MAIL', 'drop', /^451 4\./],
] as const) {
  test(`a next hop that ${name} is heard by the client`, async () => {
    answer = ({ step }) => (step === at ? said : undefined);
    const before = hop.taken.length;
    assert.match(await submit(relay, { id: name, to: ['a@far.example'] }), heard);
    assert.equal(hop.taken.length, before);
  });
}

test('a next hop that cannot be had is a 451, and one that can comes after it', async () => {
  answer = () => undefined;
  assert.match(
    await submit(relay, { id: 'closed', to: ['a@closed.example'] }),
    /^451 4\.4\.1 .*connection refused/,
  );
  // It ended sessions before this: a host that answers has its old place again.
  await accepted(relay, { id: 'well', to: ['a@far.example'] });
  await accepted(relay, { id: 'next', to: ['a@failover.example'] });
  assert.ok(hop.ids().includes('next'));
  answer = ({ step }) => (step === 'MAIL' ? '451 not now' : undefined);
  await accepted(relay, { id: 'after', to: ['a@failover.example'] });
  assert.ok(backup.ids().includes('after'));
  assert.match(backup.taken.at(-1)?.text ?? '', /end\r\n$/);
});

test('further recipients have their own transaction', async () => {
  answer = () => undefined;
  const both = ['a@far.example', 'b@far.example'];
  assert.match(await submit(relay, { id: 'both', to: both }), /^452 4\.5\.3 /);
});

test('a message that its client does not finish never ends at the next hop', async () => {
  answer = () => undefined;
  const before = hop.taken.length;
  const client = await SmtpClient.connect(relay.ports[0] ?? 0);
  await client.hello();
  for (const step of ['MAIL FROM:<me@client.example>', 'RCPT TO:<a@far.example>', 'DATA'])
    await client.command(step);
  const sessions = hop.said.filter(({ step }) => step === 'DATA').length;
  client.write(messageText('half', 20_000));
  await until(
    'the hop to be reached',
    () => hop.said.filter(({ step }) => step === 'DATA').length > sessions,
  );
  client.reset();
  await accepted(relay, { id: 'whole', to: ['a@far.example'] });
  assert.deepEqual(hop.ids().slice(before), ['whole']);
});

for (const [name, end, heard] of [
  ['refuses', (socket: Socket) => socket.end('552 5.3.4 too large\r\n'), /^554 5\.3\.4 too large/],
  ['resets', (socket: Socket) => socket.resetAndDestroy(), /^451 4\./],
] as const) {
  test(`a next hop that ${name} in the middle of a large message is heard by the client`, async () => {
    endEarly = end;
    const client = await SmtpClient.connect(relay.ports[0] ?? 0);
    await client.hello();
    for (const step of ['MAIL FROM:<me@client.example>', 'RCPT TO:<a@hasty.example>', 'DATA'])
      await client.command(step);
    client.write(`${messageText(name, 3_000_000)}\r\n.\r\n`);
    assert.match(await client.reply(), heard);
    await client.quit();
  });
}

test('a message that is declared to need an extension is refused where the next hop has none', async () => {
  const eight = { id: 'eight', mail: 'BODY=8BITMIME' };
  assert.match(await submit(relay, { ...eight, to: ['a@old.example'] }), /^554 5\.6\.3 .*8BITMIME/);
  await accepted(relay, { ...eight, to: ['a@far.example'] });
  assert.match(hop.lines('MAIL').at(-1) ?? '', /BODY=8BITMIME/);
  await accepted(relay, { id: 'seven', to: ['a@old.example'] });
});

test('nothing was kept', async () => {
  const { queue } = await relay.status();
  assert.equal(queue.depth, 0);
  const bodies = join(relay.stateDir, 'bodies');
  assert.deepEqual(existsSync(bodies) ? readdirSync(bodies) : [], []);
});
