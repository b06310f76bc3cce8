/** The client of next hops: a verdict for each recipient, connections that are used again, and loops. */
import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { makePair } from '#test/kit/ca.ts';
import { courier, ends, parcel, peer, sink, starttlsPeer, summary } from '#test/kit/clientrig.ts';
import { hopTo, trusting } from '#test/kit/relayrig.ts';

const pair = await makePair('mx.example.net');
const TRUST = 'roots';

test('each recipient has its own verdict', async () => {
  const { port } = await sink({
    onRcptTo: ({ address }, _session, callback) => {
      const code = { 'later@example.net': 450, 'never@example.net': 550 }[address];
      callback(code ? Object.assign(new Error('no'), { responseCode: code }) : null);
    },
  });
  const to = ['never@example.net', 'you@example.net', 'later@example.net'];
  const result = await courier().deliver(hopTo(port), parcel({ to }));
  assert.equal(summary(result), 'refused,delivered,deferred plain');
});

test('a refused envelope does not spoil the next message', async () => {
  const { port } = await sink({
    onRcptTo: ({ address }, _session, callback) => {
      callback(address.startsWith('never') ? Object.assign(new Error('no'), { responseCode: 550 }) : null);
    },
  });
  const one = courier();
  const outcomes: string[] = [];
  for (const to of ['never@example.net', 'you@example.net', 'never@example.net', 'you@example.net']) {
    outcomes.push(summary(await one.deliver(hopTo(port), parcel({ to: [to] }))));
  }
  assert.deepEqual(outcomes, ['refused plain', 'delivered plain', 'refused plain', 'delivered plain']);
});

test('a connection is used again', async () => {
  let connections = 0;
  const { port, mail } = await sink({
    onConnect: (_session, callback) => {
      connections += 1;
      callback();
    },
  });
  const one = courier();
  await one.deliver(hopTo(port), parcel());
  await one.deliver(hopTo(port), parcel());
  assert.deepEqual([connections, mail.length], [1, 2]);
});

test('a kept connection that its server has given up is replaced at once', async () => {
  let sessions = 0;
  const { port } = await peer((line) => {
    if (line.startsWith('EHLO')) sessions += 1;
    if (line === 'MAIL FROM:<second@example.com>' && sessions === 1) return '421 idle for too long';
    if (line === 'DATA') return '354 go on';
    return /^(EHLO|MAIL|RCPT|QUIT|\.$)/.test(line) ? '250 ok' : undefined;
  });
  const one = courier();
  assert.equal(summary(await one.deliver(hopTo(port), parcel())), 'delivered plain');
  const second = await one.deliver(hopTo(port), parcel({ from: 'second@example.com' }));
  assert.deepEqual([summary(second), sessions], ['delivered plain', 2]);
});

test('a connection that ends after the final dot defers: the next hop may have the message', async () => {
  const { port } = await peer((line, socket) => {
    if (line.startsWith('EHLO')) return '250 peer';
    if (line === 'DATA') return '354 go on';
    if (line === '.') socket.destroy();
    return /^(MAIL|RCPT)/.test(line) ? '250 ok' : undefined;
  });
  assert.equal(summary(await courier().deliver(hopTo(port), parcel())), 'deferred plain');
});

test('an international address is not sent to a next hop that does not take it', async () => {
  const { port, lines } = await peer((line) => (line.startsWith('EHLO') ? '250 peer' : '250 ok'));
  const result = await courier().deliver(hopTo(port), parcel({ to: ['jürgen@example.net'] }));
  assert.equal(summary(result), 'refused plain');
  assert.ok(!lines.some((line) => line.startsWith('MAIL')));
  const able = await sink();
  assert.equal(
    summary(await courier().deliver(hopTo(able.port), parcel({ to: ['jürgen@example.net'] }))),
    'delivered plain',
  );
});

test('a hop that wants a login is not used without one', async () => {
  const { port, mail } = await sink();
  const result = await courier().deliver(hopTo(port, { credentialsSecret: 'login' }), parcel());
  assert.equal(summary(result), 'unreachable 4.7.0');
  assert.deepEqual(mail, []);
});

for (const [where, line] of [
  ['greeting', ''],
  ['reply to EHLO', 'EHLO'],
  ['reply to HELO', 'HELO'],
] as const) {
  test(`a hop with our name in its ${where} is a loop, in any case and with a final dot`, async () => {
    const ours = 'Relay.Example.COM.';
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write(`220 ${line === '' ? ours : 'peer'} ESMTP\r\n`);
      socket.on('data', (chunk) => {
        const said = chunk.toString();
        if (line === 'HELO' && said.startsWith('EHLO')) socket.write('502 no\r\n');
        else if (/^(EHLO|HELO)/.test(said)) socket.write(`250 ${line === '' ? 'peer' : ours}\r\n`);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ends.push(() => server.close());
    const result = await courier().deliver(hopTo((server.address() as AddressInfo).port), parcel());
    assert.equal(summary(result), 'unreachable 5.4.6');
  });
}

test('under TLS only what came there makes a loop: a name in plain text may be of anybody', async () => {
  const named = (name: string) => (line: string) =>
    line.startsWith('EHLO') ? `250-${name}\r\n250 STARTTLS` : undefined;
  const ours = 'relay.example.com';
  for (const tlsLevel of ['Opportunistic', 'Encrypt', 'Verify'] as const) {
    const hop = (port: number) => hopTo(port, { tlsLevel, host: 'mx.example.net', trustConfigMap: TRUST });
    const client = () => courier(trusting(TRUST, pair.cert));
    const forged = await starttlsPeer(pair, named(ours), named('peer'));
    assert.match(summary(await client().deliver(hop(forged.port), parcel())), /^delivered (en|ver)/);
    const loop = await starttlsPeer(pair, named('peer'), named(ours));
    assert.equal(summary(await client().deliver(hop(loop.port), parcel())), 'unreachable 5.4.6');
  }
});

/** A peer that says nothing after the command, or nothing at all. Resolves when a client waits for it. */
async function waitingPeer(until: RegExp | undefined) {
  const waits = Promise.withResolvers<Socket>();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    if (until === undefined) return waits.resolve(socket);
    socket.write('220 peer\r\n');
    socket.on('data', (chunk) => {
      if (until.test(chunk.toString())) waits.resolve(socket);
      else socket.write('250 peer\r\n');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => server.close());
  return { port: (server.address() as AddressInfo).port, waits: waits.promise };
}

for (const [when, until] of [
  ['before the greeting', undefined],
  ['in EHLO', /^EHLO/],
  ['in the envelope', /^MAIL/],
] as const)
  test(`changed materials that end a connection ${when} are no failure of the hop`, async () => {
    const { port, waits } = await waitingPeer(until);
    const client = courier(trusting(TRUST, pair.cert));
    const hop = hopTo(port, { tlsLevel: 'Opportunistic', trustConfigMap: TRUST });
    const result = client.deliver(hop, parcel());
    await waits;
    client.useMaterials(trusting(TRUST, `${pair.cert}\n`));
    const ended = await result;
    assert.ok(ended.kind === 'unreachable');
    assert.equal(ended.failure.cause, 'local');
    assert.match(ended.failure.text, /its login, certificate or trust bundle changed/);
  });
