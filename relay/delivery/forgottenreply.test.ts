/**
 * Hops that answer more than they were asked, or close at once. Each delivery ends all the same, what the hop has answered
 * counts, and what it refused stays refused.
 */
import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { after, test } from 'node:test';
import type { Hop } from '#crds/policyfile.ts';
import { clientWith, wayTo } from '#test/kit/hopway.ts';
import { hopTo, makeParcel } from '#test/kit/relayrig.ts';
import { until } from '#test/kit/wait.ts';
import type { HopResult } from './attempt.ts';
import { AttemptBudget } from './budget.ts';
import { HopConnection } from './hopconnection.ts';

const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

async function serve(onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    ends.push(() => socket.destroy());
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** A hop that gives each segment it gets to the test, after EHLO. */
function hopWith(offers: readonly string[], heard: (text: string, socket: Socket) => void): Promise<number> {
  return serve((socket) => {
    socket.write('220 hop\r\n');
    socket.on('data', (chunk) => {
      const text = String(chunk);
      if (/^(EHLO|LHLO)/.test(text)) socket.write(`250-hop\r\n${offers.join('\r\n')}250 SIZE\r\n`);
      else heard(text, socket);
    });
  });
}

/** Fails if the delivery does not end. */
async function deliver(port: number, recipients: number, changes: Partial<Hop> = {}): Promise<HopResult> {
  const client = clientWith();
  const budget = new AttemptBudget();
  ends.push(
    () => client.close(),
    () => budget.close(),
  );
  const to = Array.from({ length: recipients }, (_, index) => `r${index}@example.net`);
  const hop = hopTo(port, { tlsLevel: 'None', ...changes });
  let result: HopResult | undefined;
  void client
    .deliver(wayTo(hop), '127.0.0.1', makeParcel('Subject: x\r\n\r\nx\r\n', { to }), budget)
    .then((ended) => {
      result = ended;
    });
  return until('the end of the delivery', () => result, 10_000);
}

function nameOutcome(result: HopResult): string {
  if (result.kind === 'unreachable')
    return `${result.kind}, ${result.hadSession ? 'with' : 'without'} session`;
  return result.verdicts
    .map((verdict) => (verdict.kind === 'failed' && verdict.failure.permanent ? 'refused' : verdict.kind))
    .join();
}

for (const replies of [3, 4, 5])
  test(`a hop without PIPELINING that answers MAIL with ${replies} replies: none counts for a later command`, async () => {
    const port = await hopWith([], (text, socket) => {
      if (text.startsWith('MAIL')) socket.end(`${'250 ok\r\n'.repeat(replies)}421 4.3.2 full`);
    });
    for (const recipients of [2, 3, 4]) {
      const result = await deliver(port, recipients);
      assert.equal(nameOutcome(result), 'unreachable, with session');
      assert.match(result.kind === 'unreachable' ? result.failure.text : '', /nobody asked for: 250 ok/);
    }
  });

const PIPELINING = ['250-PIPELINING\r\n'];

test('a hop that refuses the recipient, wants the message all the same and closes', async () => {
  const port = await hopWith(PIPELINING, (text, socket) => {
    if (text.startsWith('MAIL')) socket.end('250 ok\r\n550 5.1.1 no\r\n354 go on\r\n');
  });
  const result = await deliver(port, 1);
  assert.equal(nameOutcome(result), 'refused');
  assert.match(JSON.stringify(result), /550 5\.1\.1 no/);
});

test('a hop that refuses the sender and closes before the other replies', async () => {
  const port = await hopWith(PIPELINING, (text, socket) => {
    if (text.startsWith('MAIL')) socket.end('554 5.7.1 not you\r\n');
  });
  const result = await deliver(port, 2);
  assert.equal(nameOutcome(result), 'refused,refused');
  assert.match(JSON.stringify(result), /554 5\.7\.1 not you/);
});

/** Refuses the first recipient, and closes at the end of the message. */
for (const [protocol, offers] of [
  ['SMTP', PIPELINING],
  ['SMTP', []],
  ['LMTP', PIPELINING],
] as const)
  test(`${protocol}${offers.length > 0 ? ' with PIPELINING' : ''}: a refused recipient stays refused when the reply to the message does not come`, async () => {
    const port = await hopWith(offers, (text, socket) => {
      for (const line of text.split('\r\n').slice(0, -1)) {
        if (line.startsWith('RCPT TO:<r0@')) socket.write('550 5.1.1 no\r\n');
        else if (/^(MAIL|RCPT)/.test(line)) socket.write('250 ok\r\n');
        else if (line === 'DATA') socket.write('354 go on\r\n');
        else if (line === '.') socket.end();
      }
    });
    const result = await deliver(port, 2, { protocol });
    assert.ok(result.kind === 'answered');
    const [first, second] = result.verdicts;
    assert.ok(first?.kind === 'failed' && first.failure.permanent);
    // The hop may have taken it.
    assert.ok(second?.kind === 'failed' && !second.failure.permanent);
  });

/** A session of the library, ready for a message to a hop that answers nothing. */
async function openSession(): Promise<HopConnection> {
  const port = await hopWith([], () => undefined);
  const connection = new HopConnection({ host: '127.0.0.1', port, ignoreTLS: true, logger: false });
  connection.on('error', () => undefined);
  ends.push(() => connection.close());
  await new Promise<void>((resolve, reject) =>
    connection.connect((error) => (error ? reject(error) : resolve())),
  );
  return connection;
}

const ENVELOPE = { from: 'me@example.com', to: ['you@example.net'] };

test('a message in a connection that is closed gets one answer, and answered ones keep no listeners', async () => {
  const connection = await openSession();
  const before = connection.listenerCount('end');
  const answers: unknown[] = [];
  const send = (to: string[]) =>
    connection.deliver({ ...ENVELOPE, to }, Buffer.from('x'), 1_000, (error) => answers.push(error?.message));
  send([]);
  send(ENVELOPE.to);
  assert.equal(connection.listenerCount('end'), before + 1);
  connection.close();
  await until('the answer', () => answers.length > 1, 10_000);
  assert.deepEqual(answers, ['No recipients defined', 'Connection closed unexpectedly']);
});

test('what awaits a socket that is gone already ends when the relay cuts it', async () => {
  const connection = await openSession();
  const answers: unknown[] = [];
  connection.deliver(ENVELOPE, Buffer.from('x'), 1_000, (error) => answers.push(error?.message));
  const socket = connection._socket as Socket;
  // As a socket that has told of its end before anybody listened.
  socket.removeAllListeners('close');
  socket.destroy();
  connection.cut('no whole reply within five minutes');
  await until('the answer', () => answers.length > 0, 10_000);
  assert.deepEqual(answers, ['no whole reply within five minutes']);
});
