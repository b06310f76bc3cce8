/** A hop that says goodbye (421) before it has got a message: its reason is told, and it asks for fewer messages. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { describeFailure, describeForSender } from '#crds/failure.ts';
import type { Hop } from '#crds/policyfile.ts';
import { clientWith, wayTo } from '#test/kit/hopway.ts';
import { type Heard, startLineHop, takeAll } from '#test/kit/linehop.ts';
import { hopTo, makeParcel } from '#test/kit/relayrig.ts';
import type { HopResult } from './attempt.ts';
import { AttemptBudget } from './budget.ts';
import type { Parcel } from './courier.ts';

const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

async function deliver(answer: Heard, changes: Partial<Hop>, more: Partial<Parcel> = {}) {
  const hop = await startLineHop(answer);
  const client = clientWith();
  const budget = new AttemptBudget();
  ends.push(
    () => client.close(),
    () => hop.close(),
    () => budget.close(),
  );
  const parcel = makeParcel('Subject: x\r\n\r\nx\r\n', more);
  const result = await client.deliver(wayTo(hopTo(hop.port, changes)), '127.0.0.1', parcel, budget);
  return { result, hop };
}

/** The failure of a hop that got no message. */
function failureOf(result: HopResult) {
  assert.ok(result.kind === 'unreachable');
  return result.failure;
}

const TOO_MANY = '421 4.7.0 hop Error: too many new TLS sessions from 192.0.2.1';

for (const stays of [true, false])
  for (const [level, cause] of [
    ['Opportunistic', 'reply'],
    ['Encrypt', 'starttls-missing'],
  ] as const)
    test(`421 to STARTTLS at level ${level}, and the hop ${stays ? 'stays' : 'closes'}`, async () => {
      const { result, hop } = await deliver(
        (line, socket) => {
          if (line.startsWith('EHLO')) return '250-hop\r\n250 STARTTLS';
          if (line !== 'STARTTLS') return takeAll(line);
          if (stays) return TOO_MANY;
          socket.end(`${TOO_MANY}\r\n`);
          return null;
        },
        { tlsLevel: level },
      );
      const failure = failureOf(result);
      assert.equal(failure.cause, cause);
      assert.equal(failure.slowDown, true);
      assert.equal(failure.permanent, false);
      assert.ok(failure.text.includes(TOO_MANY), failure.text);
      // No plain text in its place.
      assert.deepEqual(
        hop.lines.map((line) => line.split(' ')[0]),
        ['EHLO', 'STARTTLS'],
      );
      assert.equal(hop.sockets.length, 1);
    });

for (const command of ['MAIL', 'RCPT'])
  test(`what 421 to ${command} says of a message is not told to the senders of others`, async () => {
    const said = '421 4.7.0 <you@y.example> has too many';
    const { result } = await deliver(
      (line) => {
        if (line.startsWith('EHLO')) return '250 hop';
        return line.startsWith(command) ? said : takeAll(line);
      },
      { tlsLevel: 'None' },
    );
    const failure = failureOf(result);
    assert.ok(describeFailure(failure).endsWith(`: ${said}`), failure.text);
    assert.match(describeForSender(failure), /^4\.4\.2 \S+:\d+: the session ended with 421 4\.7\.0$/);
  });

for (const [what, said, end] of [
  ['a reply too many', '250 ok\r\n250 <you@y.example> is the second', '\r\n'],
  ['text between the replies', '<you@y.example>\r\n250 ok', '\r\n'],
  ['a part of a reply', '250-<you@y.example> ok', ''],
  ['a 354', '354 <you@y.example>', '\r\n'],
] as const)
  test(`what a hop says of a message by ${what} is not told to the senders of others`, async () => {
    const { result } = await deliver(
      (line, socket) => {
        if (line.startsWith('EHLO')) return '250-hop\r\n250 PIPELINING';
        if (!line.startsWith('RCPT')) return takeAll(line);
        socket.end(`${said}${end}`);
        return null;
      },
      { tlsLevel: 'None' },
    );
    const failure = failureOf(result);
    assert.match(failure.text, /<you@y\.example>/);
    assert.match(describeForSender(failure), /^4\.4\.2 \S+:\d+: the session ended before the message$/);
  });

test('another refusal of STARTTLS at level Opportunistic leads to plain text as before', async () => {
  const { result } = await deliver(
    (line) => {
      if (line.startsWith('EHLO')) return '250-hop\r\n250 STARTTLS';
      return line === 'STARTTLS' ? '454 4.7.0 no TLS now' : takeAll(line);
    },
    { tlsLevel: 'Opportunistic' },
  );
  assert.equal(result.kind, 'answered');
});

test('454 to STARTTLS at level Encrypt slows down only if it asks for that', async () => {
  for (const [reply, slowDown] of [
    ['454 4.7.0 too many connections', true],
    ['454 4.7.0 TLS not available due to local problem', undefined],
  ] as const) {
    const { result } = await deliver(
      (line) => {
        if (line.startsWith('EHLO')) return '250-hop\r\n250 STARTTLS';
        return line === 'STARTTLS' ? reply : takeAll(line);
      },
      { tlsLevel: 'Encrypt' },
    );
    assert.equal(failureOf(result).slowDown, slowDown);
  }
});

for (const [protocol, hello] of [
  ['SMTP', 'EHLO'],
  ['LMTP', 'LHLO'],
] as const)
  test(`421 behind the reply to ${hello}, in one write`, async () => {
    const { result, hop } = await deliver(
      (line) => (line.startsWith(hello) ? `250-hop\r\n250 SIZE\r\n${TOO_MANY}` : takeAll(line)),
      { tlsLevel: 'None', protocol },
    );
    const failure = failureOf(result);
    assert.equal(failure.slowDown, true);
    assert.ok(failure.text.includes(TOO_MANY), failure.text);
    assert.deepEqual(hop.lines.length, 1);
  });

test('421 while the message is read from the disk, before its first command', async () => {
  const { result, hop } = await deliver(
    (line, socket) => {
      if (line.startsWith('EHLO')) setTimeout(() => socket.end(`${TOO_MANY}\r\n`), 50);
      return takeAll(line);
    },
    { tlsLevel: 'None' },
    {
      beyondAscii: async () => {
        await new Promise((resolve) => setTimeout(resolve, 200));
        return { header: false, body: false };
      },
    },
  );
  const failure = failureOf(result);
  assert.equal(failure.slowDown, true);
  assert.ok(failure.text.includes(TOO_MANY), failure.text);
  assert.equal(hop.lines.length, 1);
});
