/**
 * Replies that may belong to other commands than we think: one too many, or one too few. As soon as this shows, nobody is
 * refused or delivered by them, and the session ends. The next attempt sends one command at a time.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holdTime } from '#test/kit/heldtime.ts';
import { type Heard, type LineHop, takeAll } from '#test/kit/linehop.ts';
import { letters, reasons, rig } from '#test/kit/linerig.ts';
import type { HopResult } from './attempt.ts';

/** Says all replies to an envelope in one write, when DATA has come. One command at a time: each reply to its command. */
function envelope(said: readonly string[]): Heard {
  let replies: string[] = [];
  return (line, socket) => {
    if (line === '') replies = [...said];
    if (/^(MAIL|RCPT)/.test(line)) return null;
    if (line !== 'DATA') return takeAll(line);
    socket.write(replies.map((reply) => `${reply}\r\n`).join(''));
    return null;
  };
}

/** Whether the next message has RCPT right behind MAIL. */
async function heardNext({ lines }: LineHop, send: (recipients: number) => Promise<HopResult>) {
  const before = lines.length;
  const heard = (command: string) => lines.slice(before).some((line) => line.startsWith(command));
  const next = send(2);
  while (!heard('MAIL')) await new Promise((resolve) => setTimeout(resolve, 5));
  return { isTogether: heard('RCPT'), next };
}

const realTimeout = setTimeout;
/** The network takes real time. */
const turns = () => new Promise((resolve) => realTimeout(resolve, 50));

for (const [name, said, reason] of [
  [
    'MAIL twice, the first refused',
    ['250 ok', '250 ok', '550 5.1.1 r0', '250 ok', '354 go on'],
    /DATA is answered without 354/,
  ],
  [
    'MAIL twice, the last refused',
    ['250 ok', '250 ok', '250 ok', '550 5.1.1 r1', '354 go on'],
    /nobody asked for: 354/,
  ],
  [
    'r0 twice, the last refused for now',
    ['250 ok', '250 ok', '250 ok', '450 4.2.1 r1', '354 go on'],
    /nobody asked for: 354/,
  ],
  [
    'MAIL refused and taken',
    ['550 5.7.1 no', '250 ok', '250 ok', '250 ok', '354 go on'],
    /MAIL is refused, and RCPT is not/,
  ],
  [
    'MAIL refused and taken, and r1 refused',
    ['550 5.7.1 no', '250 ok', '250 ok', '550 5.1.1 r1', '354 go on'],
    /MAIL is refused, and RCPT is not/,
  ],
  [
    'MAIL refused, and nothing else',
    ['550 5.7.1 no', '250 ok', '250 ok', '354 go on'],
    /MAIL is refused, and RCPT is not/,
  ],
  ['no reply to MAIL', ['550 5.1.1 r0', '250 r1', '354 go on'], /MAIL is refused, and RCPT is not/],
  [
    'no reply to MAIL, and DATA refused',
    ['550 5.1.1 r0', '250 r1', '451 4.3.0 later'],
    /MAIL is refused, and RCPT is not/,
  ],
  ['no reply to r0', ['250 ok', '550 5.1.1 r1', '354 go on'], /RCPT is answered as DATA/],
  ['no reply to MAIL and r0', ['550 5.1.1 r1', '354 go on'], /RCPT is answered as DATA/],
  ['no reply but the last', ['354 go on'], /MAIL is answered as DATA/],
  ['354 twice', ['250 ok', '550 5.1.1 r0', '250 ok', '354 go on', '354 go on'], /nobody asked for: 354/],
  [
    'an early 250',
    ['250 ok', '550 5.1.1 r0', '250 ok', '354 go on', '250 taken'],
    /nobody asked for: 250|before the message ended/,
  ],
] as const)
  for (const protocol of ['SMTP', 'LMTP'] as const)
    test(`${protocol}: ${name}: nobody is refused, and nobody gets it`, async () => {
      const { hop, send } = await rig(envelope(said), { protocol });
      const result = await send(2);
      assert.match(letters(result), /^(unreachable|ww)$/);
      assert.match(reasons(result), reason);
      assert.ok(!hop.lines.includes('.'));
      // What had shifted once is not sent together again. Replies that fit up to the 354 have not shifted.
      const mayGoTogether = said.at(-2) === '354 go on';
      const { isTogether, next } = await heardNext(hop, send);
      assert.equal(isTogether, mayGoTogether);
      hop.close();
      assert.match(letters(await next), /^(unreachable|ww)$/);
    });

test('a hop that answers each command twice refuses nobody, with and without PIPELINING', async () => {
  const { hop, send } = await rig((line) => {
    if (/^(MAIL|RCPT)/.test(line))
      return line.includes('<r0@') ? '550 5.1.1 no\r\n550 5.1.1 no' : '250 ok\r\n250 ok';
    return takeAll(line);
  });
  for (const _ of [1, 2]) assert.equal(letters(await send(2)), 'unreachable');
  assert.ok(!hop.lines.includes('.'));
});

test('a 421 is no shift: it may always come', async () => {
  const { send } = await rig(envelope(['250 ok', '550 5.1.1 r0', '421 4.3.2 bye']));
  assert.equal(letters(await send(2)), 'Rw');
});

for (const [replies, expected] of [
  [['Sorry\r\n421 4.7.0 bye'], 'unreachable'],
  [['250 ok', '550 5.1.1 r0', 'Sorry\r\n421 4.7.0 bye'], 'Rw'],
] as const)
  test(`a 421 is a 421, also behind text without a code: ${expected}`, async () => {
    const { hop, send } = await rig(envelope(replies));
    const result = await send(2);
    assert.equal(letters(result), expected);
    assert.match(reasons(result), /421 4\.7\.0 bye/);
    if (result.kind === 'unreachable') assert.equal(result.failure.slowDown, true);
    const { isTogether, next } = await heardNext(hop, send);
    assert.equal(isTogether, true);
    await next;
  });

/** Says these replies to an envelope one by one, and those to QUIT in chunks of their own before it closes. */
function oneByOne(said: readonly string[], toQuit: readonly string[], offers: string): Heard {
  let replies: string[] = [];
  return (line, socket) => {
    if (line === '') replies = [...said];
    if (/^EHLO/.test(line)) return `250-hop\r\n250 ${offers}`;
    if (/^(MAIL|RCPT|DATA)/.test(line)) return replies.shift() ?? null;
    if (line !== 'QUIT') return takeAll(line);
    for (const [index, reply] of toQuit.entries())
      setTimeout(() => socket.writable && socket.write(`${reply}\r\n`), 30 * index);
    setTimeout(() => socket.end(), 30 * toQuit.length);
    return null;
  };
}

const REFUSED = ['250 mail', '250 r0', '550 r1', '554 data'];

for (const offers of ['PIPELINING', 'SIZE'])
  for (const [name, said, toQuit, expected] of [
    ['the 354', ['250 mail', '250 mail', '250 r0', '550 r1'], ['354 go on'], 'unreachable'],
    ['the refusal of DATA', ['250 mail', '550 r0', '550 r0', '450 r1'], ['503 no recipients'], 'unreachable'],
    [
      'that of the last recipient',
      ['250 mail', '550 r0', '550 r0', '550 r1'],
      ['250 r1', '221 bye'],
      'unreachable',
    ],
    ['its own', REFUSED, ['221 bye'], 'RR'],
    ['a 250 of its own', REFUSED, ['250 bye'], 'RR'],
    ['a 421', REFUSED, ['421 4.7.0 bye'], 'RR'],
    ['none', REFUSED, [], 'RR'],
  ] as const)
    test(`${offers}: several recipients, no 354, and the reply to QUIT is ${name}: ${expected}`, async () => {
      const { send } = await rig(oneByOne(said, toQuit, offers));
      const result = await send(2);
      assert.equal(letters(result), expected);
      if (expected === 'unreachable') assert.match(reasons(result), /QUIT is answered as another command/);
    });

for (const toQuit of ['', '250 bye\r\n'])
  test(`a hop that stays after QUIT, and says ${JSON.stringify(toQuit)}, holds up a refusal for ten seconds`, async (context) => {
    const pass = holdTime(context);
    const asked = Promise.withResolvers<void>();
    const { send } = await rig((line, socket) => {
      if (line.startsWith('RCPT')) return '550 5.1.1 no';
      if (line === 'DATA') return '503 5.5.1 no recipients';
      if (line !== 'QUIT') return takeAll(line);
      socket.write(toQuit);
      asked.resolve();
      return null;
    });
    const sent = send(2);
    await asked.promise;
    await turns();
    pass(10_000);
    assert.equal(letters(await sent), 'RR');
  });

test('a relay that ends the connection while it waits for the reply to QUIT refuses nobody', async () => {
  const asked = Promise.withResolvers<void>();
  const { client, send } = await rig((line) => {
    if (line === 'QUIT') asked.resolve();
    if (line.startsWith('RCPT')) return '550 5.1.1 no';
    if (line === 'DATA') return '503 5.5.1 no recipients';
    return line === 'QUIT' ? null : takeAll(line);
  });
  const sent = send(2);
  await asked.promise;
  client.close();
  const result = await sent;
  assert.deepEqual(
    [letters(result), result.kind === 'unreachable' && result.failure.cause],
    ['unreachable', 'local'],
  );
});

test('a hop that loses what comes together with MAIL gets one command at a time from then on', async (context) => {
  const pass = holdTime(context);
  const asked = Promise.withResolvers<void>();
  let isLost = false;
  const { hop, send } = await rig((line) => {
    if (line.startsWith('MAIL')) {
      // All of a write is heard in one turn.
      isLost = true;
      setImmediate(() => {
        isLost = false;
      });
      return takeAll(line);
    }
    if (line === 'DATA') asked.resolve();
    return isLost ? null : takeAll(line);
  });
  const first = send(2);
  await asked.promise;
  await turns();
  pass(5 * 60_000);
  assert.equal(letters(await first), 'unreachable');
  assert.equal(letters(await send(2)), 'DD');
  assert.equal(hop.sockets.length, 2);
});
