/**
 * Replies that are cut off, that nobody asked for, or that have more than one code. None of them refuses a recipient that
 * the hop did not refuse, and each is told.
 */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { type Heard, takeAll } from '#test/kit/linehop.ts';
import { letters, reasons, rig } from '#test/kit/linerig.ts';

/** Answers the commands of an envelope, in order, and then ends the connection. */
function endingWith(said: string, offers: string, how: 'end' | 'reset' = 'end'): Heard {
  const replies = said.split(/(?<=\n)/);
  const finish = (socket: Socket) => {
    if (how === 'end') socket.end();
    else setTimeout(() => socket.resetAndDestroy(), 50);
  };
  return (line, socket) => {
    if (/^EHLO/.test(line)) return `250-hop\r\n250 ${offers}`;
    if (!/^(MAIL|RCPT|DATA)/.test(line)) return takeAll(line);
    const isLast = replies.length === 1 || (replies[0] ?? '').startsWith('550-');
    socket.write((isLast ? replies.splice(0).join('') : replies.shift()) ?? '');
    if (isLast) finish(socket);
    return null;
  };
}

for (const offers of ['PIPELINING', 'SIZE'])
  for (const how of ['end', 'reset'] as const)
    for (const [cut, told] of [
      ['550 5.1.1 <r1@example.net>: unkn', /550 5\.1\.1 <r1@example\.net>: unkn$/],
      ['550-5.1.1 <r1>: unknown\r\n', /550-5\.1\.1 <r1>: unknown$/],
      ['550-5.1.1 <r1>: unknown\r\n550 see', /550-5\.1\.1 <r1>: unknown 550 see$/],
      ['550 ', /550$/],
    ] as const)
      test(`${offers}, ${how}: a refusal that is cut off refuses nobody, and is told: ${JSON.stringify(cut)}`, async () => {
        const before = await rig(endingWith(`250 ok\r\n250 ok\r\n${cut}`, offers, how));
        const waits = await before.send(3);
        assert.equal(letters(waits), 'unreachable');
        assert.match(reasons(waits), told);
        assert.doesNotMatch(JSON.stringify(waits), /"code":550/);
        const { send } = await rig(endingWith(`250 ok\r\n550 5.1.1 no\r\n${cut}`, offers, how));
        const result = await send(3);
        assert.equal(letters(result), 'Rww');
        assert.match(reasons(result).split('\n')[2] ?? '', told);
      });

for (const said of ['550 5.2.2 over quo', '550-5.2.2 over quota\r\n', '250-2.0.0 taken\r\n550 text', '550 '])
  for (const protocol of ['LMTP', 'SMTP'] as const)
    test(`${protocol}: after a message ${JSON.stringify(said)} and the end: unknown, so it waits`, async () => {
      const { send } = await rig(
        (line, socket) => {
          if (line !== '.') return takeAll(line);
          socket.end(`${protocol === 'LMTP' ? '250 2.0.0 taken\r\n' : ''}${said}`);
          return null;
        },
        { protocol },
      );
      const result = await send(3);
      assert.equal(letters(result), protocol === 'LMTP' ? 'Dww' : 'www');
      assert.match(reasons(result), /in the middle of a reply: [25]50/);
    });

for (const cut of ['554 5.7.1 no acc', '554-5.7.1 blocked, see https://list.example\r\n'])
  for (const at of ['the greeting', 'EHLO'])
    test(`a reply to ${at} that is cut off is told, and is no reply: ${JSON.stringify(cut)}`, async () => {
      const { send } = await rig((line, socket) => {
        if (line === '' && at !== 'the greeting') return '220 hop';
        socket.end(cut);
        return null;
      });
      const result = await send(1);
      assert.ok(result.kind === 'unreachable');
      assert.ok(result.failure.text.includes(`in the middle of a reply: ${cut.trim()}`), result.failure.text);
      assert.equal(result.failure.reply, undefined);
    });

for (const [what, said] of [
  ['a refusal', ['250 ok\r\n550 5.7.1 no\r\n']],
  ['a temporary refusal', ['250 ok\r\n450 4.7.1 no\r\n']],
  ['a refusal of two lines', ['250 ok\r\n550-5.7.1 no\r\n550 5.7.1 no\r\n']],
  ['a refusal whose last line comes later', ['250 ok\r\n550-5.7.1 no\r\n', '550 5.7.1 no\r\n']],
  ['a refusal whose end comes later', ['250 ok\r\n55', '0 5.7.1 no\r\n']],
] as const)
  for (const asked of ['MAIL', 'RCPT TO:<r0@', 'RCPT TO:<r1@'])
    test(`${what} that nobody asked for, with the reply to ${asked}: the session ends, and nobody is refused`, async () => {
      const { hop, send } = await rig((line, socket) => {
        if (/^EHLO/.test(line)) return '250 hop';
        if (!line.startsWith(asked)) return takeAll(line);
        said.forEach((piece, index) => {
          setTimeout(() => socket.writable && socket.write(piece), 50 * index);
        });
        return null;
      });
      const result = await send(2);
      assert.equal(letters(result), 'unreachable');
      assert.match(reasons(result), /nobody asked for: [45]5/);
      assert.equal(hop.sockets.length, 1);
    });

for (const rest of ['550 5.7.1 no\r\n', '550-5.7.1 no\r\n|550 5.7.1 no\r\n', '55|0 5.7.1 no\r\n'])
  test(`a refusal with the 354 refuses the message: ${JSON.stringify(rest)}`, async () => {
    let isTold = false;
    const { send } = await rig((line, socket) => {
      if (isTold) return null;
      if (line !== 'DATA') return takeAll(line);
      isTold = true;
      const [first, second = ''] = `354 go on\r\n${rest}`.split('|');
      socket.write(first ?? '');
      setTimeout(() => socket.write(second), 50);
      return null;
    });
    assert.equal(letters(await send(2)), 'RR');
  });

test('a 421 that nobody asked for is the reason for the end', async () => {
  for (const asked of ['', 'MAIL', 'RCPT TO:<r0@']) {
    const { send } = await rig((line) => {
      if (/^EHLO/.test(line)) return '250 hop';
      const said = asked === '' ? line === '' : line.startsWith(asked);
      return said ? `${takeAll(line)}\r\n421 4.7.0 too many connections` : takeAll(line);
    });
    const result = await send(2);
    assert.ok(result.kind === 'unreachable');
    assert.match(result.failure.text, /421 4\.7\.0 too many/);
    assert.equal(result.failure.slowDown, true);
  }
});

for (const [said, expected] of [
  ['250-2.0.0 scanning\r\n550 5.7.1 refused', 'R'],
  ['250-2.0.0 scanning\r\n450 4.7.1 later', 'w'],
  ['250-2.0.0 a\r\n250-2.0.0 b\r\n550 5.7.1 refused', 'R'],
  ['550-5.7.1 scanning\r\n250 2.0.0 taken', 'D'],
  ['250-a\r\n550-b\r\n250 c', 'D'],
] as const)
  test(`of a reply with more than one code the last line counts: ${JSON.stringify(said)}`, async () => {
    for (const protocol of ['SMTP', 'LMTP'] as const) {
      const final = await rig((line) => (line === '.' ? said : takeAll(line)), { protocol });
      const result = await final.send(1);
      assert.equal(letters(result), expected);
      if (expected === 'R') assert.match(JSON.stringify(result), /"status":"5\.7\.1"/);
    }
    const recipient = await rig((line) => (line.startsWith('RCPT TO:<r0') ? said : takeAll(line)));
    assert.equal(letters(await recipient.send(2)), `${expected}D`);
  });

for (const protocol of ['LMTP', 'SMTP'] as const)
  for (const [last, expected] of [
    ['250 2.0.0 taken', 'D'],
    ['554 5.7.1 refused', 'R'],
    ['451 4.7.1 later', 'w'],
  ] as const)
    test(`${protocol}: a reply of 10,000 lines to a message counts, and its last line has the code: ${last}`, async () => {
      const code = last.slice(0, 3);
      const more = `${code}-${last.slice(4)}, and here is what the filter found\r\n`.repeat(10_000);
      const { send } = await rig((line) => (line === '.' ? `${more}${last}` : takeAll(line)), { protocol });
      const result = await send(1);
      assert.equal(letters(result), expected);
      assert.ok(JSON.stringify(result).length < 2_000);
    });

test('a hop may offer its extensions in 10,000 lines, and greet in as many', async () => {
  const { send } = await rig((line) => {
    if (line === '') return `${'220-hop says\r\n'.repeat(10_000)}220 hop`;
    return line.startsWith('EHLO') ? `250-hop\r\n${'250-X-MORE\r\n'.repeat(10_000)}250 SIZE` : takeAll(line);
  });
  assert.equal(letters(await send(1)), 'D');
});

test('STARTTLS behind very many other offers counts, so the message does not go in plain text', async () => {
  const heard: string[] = [];
  const { send } = await rig(
    (line) => {
      heard.push(line.split(' ', 1)[0] ?? '');
      if (line === 'STARTTLS') return '421 4.3.2 not now';
      return line.startsWith('EHLO')
        ? `250-hop\r\n${'250-X-MORE\r\n'.repeat(2_000)}250-STARTTLS\r\n250 DSN`
        : takeAll(line);
    },
    { tlsLevel: 'Opportunistic' },
  );
  assert.equal(letters(await send(1)), 'unreachable');
  assert.deepEqual(heard, ['', 'EHLO', 'STARTTLS']);
});
