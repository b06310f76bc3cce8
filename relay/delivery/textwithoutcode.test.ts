/**
 * Lines that are no reply: they have no code, or digits that are none. They are text, wherever they stand, and no part of
 * them is read as a code. Where commands were sent together they may have been a reply, so nobody is refused.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Heard, takeAll } from '#test/kit/linehop.ts';
import { letters, reasons, rig } from '#test/kit/linerig.ts';

/** Answers what `asked` selects with `said`, and the message of LMTP for each recipient that it took. */
function saying(asked: string, said: string, offers: string, protocol: 'SMTP' | 'LMTP' = 'SMTP'): Heard {
  let taken = 0;
  const answer = (line: string) => {
    if (line.startsWith(asked)) return said;
    return /^(EHLO|LHLO)/.test(line) ? `250-hop\r\n250 ${offers}` : takeAll(line);
  };
  return (line) => {
    const reply = answer(line);
    if (line.startsWith('MAIL')) taken = 0;
    if (line.startsWith('RCPT') && /^2\d\d .*$/.test(reply?.split('\r\n').at(-1) ?? '')) taken += 1;
    return line === '.' && protocol === 'LMTP'
      ? Array.from({ length: taken }, () => reply).join('\r\n')
      : reply;
  };
}

const OFFERS = ['PIPELINING', 'SIZE'];
const PROTOCOLS = ['SMTP', 'LMTP'] as const;

for (const protocol of PROTOCOLS)
  for (const offers of OFFERS)
    for (const asked of ['RCPT TO:<r0@', '.'])
      for (const [said, expected] of [
        ['571 5.7.1 Message refused', 'R'],
        ['591 no', 'R'],
        ['471-4.7.1 not now\r\n471 4.7.1 later', 'w'],
        ['499', 'w'],
        ['299 taken', 'D'],
      ] as const)
        test(`${protocol}, ${offers}: the first digit of a code counts: ${asked} ${JSON.stringify(said)}`, async () => {
          const { send } = await rig(saying(asked, said, offers, protocol), { protocol });
          assert.equal(letters(await send(asked === '.' ? 1 : 2)), asked === '.' ? expected : `${expected}D`);
        });

for (const [step, asked, expected] of [
  ['the greeting', /^$/, 'unreachable'],
  ['all of an envelope', /^(MAIL|RCPT|DATA)/, 'RR'],
] as const)
  test(`a 571 as ${step} is read at once`, async () => {
    const { send } = await rig((line) => (asked.test(line) ? '571 5.7.1 go away' : takeAll(line)));
    const result = await send(2);
    assert.equal(letters(result), expected);
    assert.match(reasons(result), /571 5\.7\.1 go away/);
  });

const IN_REPLY = [
  ['550-5.7.1 Rejected, because\r\n203.0.113.5 is on our list.\r\n550 5.7.1 Ask postmaster', 'R'],
  ['450-4.7.1 Rejected, because\r\n550.0.113.5 is on our list.\r\n450 4.7.1 Ask postmaster', 'w'],
  ['450-4.7.1 Limit is\r\n500.000 messages a day\r\n450 4.7.1 Come later', 'w'],
  ['250-2.0.0 taken, your quota is\r\n500/1000 messages\r\n250 2.0.0 bye', 'D'],
  ['550-5.7.1 no\r\n250_ok\r\n250\tok\r\n2500 ok\r\n250\u00a0ok\r\n550 5.7.1 no', 'R'],
] as const;

const BEFORE_REPLY = [
  ['2026-11-30 05:53:00 E disk full\r\n451 4.3.0 not taken', 'w'],
  ['2 of 3 disks have failed\r\n451 4.3.0 not taken', 'w'],
  ['25451 4.3.0\r\n551 5.7.1 no', 'R'],
  ['2\r\n550-5.7.1 no\r\n550 5.7.1 no', 'R'],
  ['5026-11-30 05:53:00 warning\r\n250 taken', 'D'],
  ['199 x\r\n600 x\r\n250-x\r\n250 taken', 'D'],
] as const;

for (const protocol of PROTOCOLS)
  for (const offers of OFFERS)
    for (const [said, expected] of [...IN_REPLY, ...BEFORE_REPLY])
      test(`${protocol}, ${offers}: after a message the code of the reply counts: ${JSON.stringify(said)}`, async () => {
        const { send } = await rig(saying('.', said, offers, protocol), { protocol });
        const result = await send(1);
        assert.equal(letters(result), expected);
        if (expected === 'D') return;
        const text = said.split('\r\n').find((line) => !/^\d{3}[ -]/.test(line)) ?? '';
        assert.ok(reasons(result).includes(text), reasons(result));
      });

for (const protocol of PROTOCOLS)
  for (const offers of OFFERS) {
    for (const [said, expected] of IN_REPLY)
      test(`${protocol}, ${offers}: text in a reply to RCPT moves no other reply: ${JSON.stringify(said)}`, async () => {
        const { send } = await rig(saying('RCPT TO:<r1@', said, offers, protocol), { protocol });
        assert.equal(letters(await send(3)), `D${expected}D`);
      });

    for (const [said, expected] of BEFORE_REPLY)
      test(`${protocol}, ${offers}: text before a reply to RCPT refuses nobody but its own: ${JSON.stringify(said)}`, async () => {
        const { hop, send } = await rig(saying('RCPT TO:<r1@', said, offers, protocol), { protocol });
        if (offers === 'PIPELINING') {
          const first = await send(3);
          assert.equal(letters(first), 'unreachable');
          assert.match(reasons(first), /text without a code came between the replies/);
          assert.deepEqual(
            hop.lines.filter((line) => line === '.'),
            [],
          );
        }
        // The next attempt sends one command at a time, so the order of replies is certain.
        assert.equal(letters(await send(3)), `D${expected}D`);
      });
  }

test('a reply of which only a part has a code of another is in doubt where commands were sent together', async () => {
  const said = '550-5.1.1 unknown\r\n550_5.1.1 see there\r\n250 ok';
  const { send } = await rig(saying('RCPT TO:<r0@', said, 'PIPELINING'));
  assert.equal(letters(await send(2)), 'unreachable');
});

for (const [said, expected] of [
  ['25451 4.3.0\r\n', 'w'],
  ['2\r\n', 'w'],
  ['250-2.0.0 taken\r\n2500 bye\r\n', 'w'],
  ['250_taken\r\n', 'w'],
] as const)
  for (const protocol of PROTOCOLS)
    test(`${protocol}: ${JSON.stringify(said)} and the end is no reply to a message`, async () => {
      const { send } = await rig(
        (line, socket) => {
          if (line !== '.') return takeAll(line);
          socket.end(said);
          return null;
        },
        { protocol },
      );
      const result = await send(1);
      assert.equal(letters(result), expected);
      assert.ok(reasons(result).includes(said.split('\r\n')[0] ?? ''), reasons(result));
    });

test('text in the greeting, in the reply to EHLO and behind the 354 changes nothing', async () => {
  const { hop, send } = await rig(
    (line) => {
      if (line === '') return '220-hop\r\nnot 550 at all\r\n220 hop';
      if (/^EHLO/.test(line))
        return 'this machine has no STARTTLS\r\n250-hop\r\nand no REQUIRETLS\r\n250 SIZE 1000';
      return line === 'DATA' ? '354 go on\r\nend with a dot' : takeAll(line);
    },
    { tlsLevel: 'Opportunistic' },
  );
  assert.equal(letters(await send(2)), 'DD');
  assert.ok(!hop.lines.includes('STARTTLS'));
});

for (const [name, replies, expected] of [
  [
    'all come, so the text was none of them',
    ['250 r0', 'disk 2 is full\r\n452 4.2.2 r1', '250 r2', '550 5.2.1 r3'],
    'DwDR',
  ],
  ['one is missing, so nobody knows which', ['250 r0', '4522 r1 is full', '250 r2', '550 5.2.1 r3'], 'Dwww'],
] as const)
  test(`LMTP: text between the replies to a message, and ${name}`, async () => {
    const { send } = await rig(
      (line, socket) => {
        if (line !== '.') return takeAll(line);
        socket.write(`${replies.join('\r\n')}\r\n`);
        setTimeout(() => socket.destroy(), 50);
        return null;
      },
      { protocol: 'LMTP' },
    );
    assert.equal(letters(await send(4)), expected);
  });

test('text without end is too long at some time', async () => {
  const { send } = await rig((line, socket) => {
    if (!line.startsWith('MAIL')) return takeAll(line);
    for (let count = 0; count < 40; count += 1) socket.write(`${'x'.repeat(1000)}\r\n`);
    return null;
  });
  const result = await send(1);
  assert.equal(letters(result), 'unreachable');
  assert.match(reasons(result), /maximum allowed size/);
});
