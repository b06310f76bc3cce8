/**
 * Replies and ends of connections. Each whole reply that was received counts, in order, before the end does. What is left
 * over ends the session. What was refused for good stays refused.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Heard, takeAll } from '#test/kit/linehop.ts';
import { letters, reasons, rig, TEXT } from '#test/kit/linerig.ts';
import { eventually } from '#test/kit/wait.ts';

for (const count of [2, 5, 50])
  test(`LMTP: ${count} replies in one write and the end of the connection: all count`, async () => {
    const { send } = await rig(
      (line, socket) => {
        if (line !== '.') return takeAll(line);
        socket.end('250 2.0.0 taken\r\n'.repeat(count));
        return null;
      },
      { protocol: 'LMTP' },
    );
    assert.equal(letters(await send(count)), 'D'.repeat(count));
  });

test('LMTP: of a last reply that was cut off nothing is known, and the others count', async () => {
  const { send } = await rig(
    (line, socket) => {
      if (line !== '.') return takeAll(line);
      socket.end(`${'250 2.0.0 taken\r\n'.repeat(4)}250-2.0.0 ta`);
      return null;
    },
    { protocol: 'LMTP' },
  );
  assert.equal(letters(await send(5)), 'DDDDw');
});

for (const count of [1, 3, 10])
  test(`${count} recipients refused with the reply to DATA and the end, all in one write`, async () => {
    const { send } = await rig((line, socket) => {
      if (line.startsWith('RCPT')) return null;
      if (line !== 'DATA') return takeAll(line);
      socket.end(`${'550 5.1.1 unknown\r\n'.repeat(count)}503 5.5.1 no recipients\r\n`);
      return null;
    });
    assert.equal(letters(await send(count)), 'R'.repeat(count));
  });

for (const said of [
  '250 taken\r\n421-closing\r\n',
  '250 taken\r\n250 tak',
  '250 taken\r\n250 once more\r\n',
  '250 taken\r\n421 bye\r\n',
  '\r\n\r\n\r\n\r\n250 taken\r\n421-',
  '250-taken\r\n250 for good\r\n2',
])
  for (const then of ['stays', 'ends', 'resets'])
    test(`${JSON.stringify(said)} after a message, and the hop ${then}: delivered, in a session that is over`, async () => {
      const { hop, send } = await rig((line, socket) => {
        if (line !== '.') return takeAll(line);
        socket.write(said);
        if (then === 'ends') socket.end();
        if (then === 'resets') socket.resetAndDestroy();
        return null;
      });
      assert.equal(letters(await send(1)), 'D');
      assert.equal(letters(await send(1)), 'D');
      assert.equal(hop.sockets.length, 2);
    });

test('a reply too many is not taken for the answer to the next message', async () => {
  const { hop, send } = await rig((line) => {
    if (line === '.') return '250 2.0.0 taken\r\n250 2.0.0 and once more';
    return line.startsWith('RCPT TO:<r1@') ? '550 5.1.1 unknown' : takeAll(line);
  });
  assert.deepEqual([letters(await send(1)), letters(await send(2))], ['D', 'DR']);
  assert.equal(hop.lines.filter((line) => line === '.').length, 2);
});

async function* inPieces() {
  yield Buffer.from(TEXT);
}

for (const [what, body] of [
  ['a buffer', () => Buffer.from(TEXT)],
  ['pieces', inPieces],
] as const)
  test(`an early 250 delivers nothing, where the body is ${what}`, async () => {
    const { send } = await rig((line, socket) => {
      if (line !== 'DATA') return takeAll(line);
      socket.pause();
      setTimeout(() => socket.destroy(), 100);
      return '354 go on\r\n250 2.0.0 taken';
    });
    assert.equal(letters(await send(1, { body })), 'w');
  });

for (const protocol of ['SMTP', 'LMTP'] as const)
  test(`${protocol}: a 250 while the end of a large message waits for the network delivers nothing`, async () => {
    const large = Buffer.from('x'.repeat(998).concat('\r\n').repeat(16_000));
    const { hop, send } = await rig(
      (line, socket) => {
        if (line !== 'DATA') return takeAll(line);
        socket.pause();
        setTimeout(() => socket.write('250 2.0.0 taken\r\n'), 100);
        return '354 go on';
      },
      { protocol },
    );
    const result = await send(1, { body: () => large });
    assert.equal(letters(result), 'w');
    assert.match(reasons(result), /answered before the message ended/);
    // What is left of it never comes.
    for (const socket of hop.sockets) socket.resume();
    assert.ok(await eventually(() => hop.sockets.every(({ destroyed }) => destroyed)));
    assert.ok(!hop.lines.includes('.'));
  });

/** As Postfix: after so many refusals the session is over. */
function refusing(most: number, code: string, offers: string): Heard {
  const refused = new WeakMap<object, number>();
  return (line, socket) => {
    const count = refused.get(socket) ?? 0;
    if (count >= most) {
      if (socket.writable) socket.end('421 4.7.0 hop.example Error: too many errors\r\n');
      return null;
    }
    if (/^EHLO/.test(line)) return `250-hop\r\n250 ${offers}`;
    if (!/^RCPT TO:<r\d@/.test(line)) return takeAll(line);
    refused.set(socket, count + 1);
    return code;
  };
}

for (const offers of ['PIPELINING', 'SIZE']) {
  test(`${offers}: who was refused before a 421 stays refused, the others wait, and the pace stays`, async () => {
    const { send } = await rig(refusing(10, '550 5.1.1 unknown', offers));
    const result = await send(12);
    assert.equal(letters(result), 'RRRRRRRRRRww');
    assert.ok(result.kind === 'answered');
    assert.doesNotMatch(JSON.stringify(result), /slowDown/);
    assert.equal(result.mayTryAnother, false);
  });

  test(`${offers}: where nobody was refused for good a 421 ends the attempt`, async () => {
    const { send } = await rig(refusing(10, '450 4.2.1 later', offers));
    const result = await send(12);
    assert.ok(result.kind === 'unreachable' && result.hadSession);
    assert.match(result.failure.text, /421 4\.7\.0/);
    assert.equal(result.failure.slowDown, undefined);
    // The next attempt begins with the others.
    assert.deepEqual(
      result.refused,
      Array.from({ length: 10 }, (_, index) => `r${index}@example.net`),
    );
  });
}

for (const offers of ['PIPELINING', 'SIZE'])
  test(`${offers}: a 421 to the last recipient behind a refusal ends the session, and halves no pace`, async () => {
    const { send } = await rig((line, socket) => {
      if (/^EHLO/.test(line)) return `250-hop\r\n250 ${offers}`;
      if (!line.startsWith('RCPT TO:<r1@'))
        return line.startsWith('RCPT') ? '450 4.2.1 later' : takeAll(line);
      socket.end('421 4.7.0 hop Error: too many errors\r\n');
      return null;
    });
    const result = await send(2);
    assert.ok(result.kind === 'unreachable' && result.hadSession);
    assert.match(result.failure.text, /421 4\.7\.0/);
    assert.equal(result.failure.slowDown, undefined);
    assert.deepEqual(result.refused, ['r0@example.net']);
  });

test('the names in the first line of the reply to EHLO are no extensions', async () => {
  const { hop, send } = await rig((line) =>
    /^EHLO/.test(line) ? '250-dsn.example Hello relay-pipelining.example\r\n250 SIZE' : takeAll(line),
  );
  const result = await send(1, { dsn: { ret: 'HDRS', envid: 'x', recipients: [] } });
  assert.equal(letters(result), 'D');
  assert.ok(result.kind === 'answered' && !result.tellsSender);
  assert.ok(hop.lines.some((line) => /^MAIL FROM:<[^>]*> SIZE=\d+$/.test(line)));
});

for (const [what, refusal, goodbye, asks] of [
  ['a 421 behind refusals of recipients', '450 4.2.1 later', '421 4.7.0 hop Error: too many errors', false],
  ['a 421 in whose words it is', '450 4.2.1 later', '421 4.7.0 Error: too many connections', true],
  ['a refusal in whose words it is', '450 4.7.1 Error: too much mail from 192.0.2.1', '421 4.7.0 bye', true],
  [
    'the same where somebody is refused for good',
    '550 5.1.1 no',
    '421 4.7.0 Error: too many connections',
    true,
  ],
  ['a 421 for a recipient', '421 4.7.0 bye', '421 4.7.0 bye', true],
] as const)
  test(`${what} ${asks ? 'asks' : 'does not ask'} for fewer messages`, async () => {
    const { send } = await rig((line, socket) => {
      if (/^EHLO/.test(line)) return '250 SIZE';
      if (line.startsWith('RCPT TO:<r0@')) return refusal;
      if (!line.startsWith('RCPT')) return takeAll(line);
      socket.end(`${goodbye}\r\n`);
      return null;
    });
    assert.equal(/"slowDown":true/.test(JSON.stringify(await send(3))), asks);
  });
