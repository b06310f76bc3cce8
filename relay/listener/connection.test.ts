/** What clients do to a connection: they pipeline, read slowly, end their side, reset it or break its TLS. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { greeted, pair, secured, serve } from '#test/kit/listenerrig.ts';
import { listenerAt, policyOf } from '#test/kit/relayrig.ts';
import { SmtpClient } from '#test/kit/smtpclient.ts';
import { eventually } from '#test/kit/wait.ts';

test('what is pipelined in clear text behind STARTTLS is never executed', async () => {
  const { port } = await serve({});
  const talker = await greeted(port);
  await talker.command('EHLO client.example');
  talker.write('STARTTLS\r\nRSET\r\nMAIL FROM:<evil@example.com>\r\n');
  assert.match(await talker.reply(), /^220 /);
  await talker.startTls({});
  // The session is new: no HELO, no sender, and no reply to the injected commands.
  assert.match(await talker.command('NOOP'), /^250 OK/);
  assert.deepEqual(
    await talker.codes('MAIL FROM:<me@example.com>', 'EHLO x', 'RCPT TO:<you@example.net>'),
    [503, 250, 503],
  );
  talker.close();
});

test('replies to commands of one read leave in one write, and what may not wait does not', async () => {
  const { port, writes } = await serve({});
  const talker = await greeted(port);
  await talker.command('EHLO client.example');
  const repliesTo = async (text: string, count: number) => {
    const before = writes();
    talker.write(text);
    const codes: string[] = [];
    for (let n = 0; n < count; n++) codes.push((await talker.reply()).slice(0, 3));
    return { codes, writes: writes() - before };
  };
  const envelope = 'MAIL FROM:<me@example.com>\r\nRCPT TO:<you@example.net>\r\nRCPT TO:<bad\r\nDATA\r\n';
  assert.deepEqual(await repliesTo(envelope, 4), { codes: ['250', '250', '501', '354'], writes: 1 });
  assert.deepEqual(await repliesTo(`Hi\r\n.\r\n${envelope}`, 5), {
    codes: ['250', '250', '250', '501', '354'],
    writes: 2,
  });
  assert.deepEqual(await repliesTo('Hi\r\n.\r\nRSET\r\nNOOP\r\nQUIT\r\n', 4), {
    codes: ['250', '250', '250', '221'],
    writes: 3,
  });
});

test('a client that pipelines without reading is answered in order, and nothing waits for ever', async () => {
  const many = 20_000;
  const { port } = await serve({ limits: { ...policyOf().inbound.limits, recipients: many } });
  const talker = await greeted(port);
  await talker.command('EHLO client.example');
  talker.write(`MAIL FROM:<>\r\n${'RCPT TO:<you@example.net>\r\n'.repeat(many)}NOOP\r\n`);
  for (let n = 0; n < many + 1; n++) assert.match(await talker.reply(), /^250 Accepted/);
  assert.match(await talker.reply(), /^250 OK/);
  talker.close();
});

test('a client that has ended its side is answered; without QUIT the session ends with it', async () => {
  const { port, entered, ended } = await serve({});
  const whole = 'Subject: x\r\n\r\nHi\r\n.\r\n';
  const codesUntilEnd = async (talker: SmtpClient) => {
    await talker.closed();
    return [...talker.unread.matchAll(/^(\d{3}) /gm)].map(([, code]) => Number(code));
  };
  for (const [index, [rest, codes]] of (
    [
      [`${whole}QUIT\r\n`, [250, 221]],
      [whole, [250]],
      [`${whole}NOOP\r\nVRFY you\r\n`, [250, 250, 252]],
      ['Subject: x\r\n\r\nHi', []],
      ['Subject: x\r\n\r\nHi\r\n.\n', [554]],
    ] as const
  ).entries()) {
    for (const talker of [await greeted(port), await secured(port)]) {
      await talker.codes('EHLO client.example', 'MAIL FROM:<>', 'RCPT TO:<you@example.net>', 'DATA');
      talker.finish(rest);
      assert.deepEqual(await codesUntilEnd(talker), codes, rest);
    }
    await eventually(() => ended() === 2 * (index + 1));
  }
  assert.equal(entered.length, 6);
});

test('a reset at any step ends one session, is counted once, and hurts nobody', async () => {
  const steps = [
    'EHLO client.example',
    'MAIL FROM:<>',
    'RCPT TO:<you@example.net>',
    'DATA',
    'half a message',
  ];
  const { port, task, ended } = await serve({});
  for (let count = 0; count <= steps.length; count++) {
    const talker = await greeted(port);
    for (const step of steps.slice(0, count)) {
      if (step === 'half a message') talker.write(step);
      else await talker.command(step);
    }
    talker.reset();
    await eventually(() => ended() === count + 1);
  }
  const inHandshake = await greeted(port);
  await inHandshake.codes('EHLO client.example', 'STARTTLS');
  inHandshake.write('this is no TLS');
  await inHandshake.closed();
  const inTls = await secured(port);
  inTls.reset();
  (await SmtpClient.connect(port)).reset();
  await eventually(() => task.openSessions === 0);
  const talker = await greeted(port);
  assert.deepEqual(await talker.codes('EHLO client.example', 'QUIT'), [250, 221]);
  await eventually(() => task.openSessions === 0);
});

test('a client that has ended its side and reads slowly gets the replies to all that it sent', async (t) => {
  const held: (() => void)[] = [];
  let isSlow = false;
  const { port, entered } = await serve({}, pair, (socket) => {
    const { _write } = socket;
    socket._write = (...args) => {
      if (isSlow) held.push(() => _write.apply(socket, args));
      else _write.apply(socket, args);
    };
  });
  // The library's patience with a client that it has ended: here it is over at once.
  const { setTimeout: later } = globalThis;
  t.mock.method(globalThis, 'setTimeout', ((work: () => void, ms: number) =>
    later(work, ms === 5_000 ? 0 : ms)) as typeof setTimeout);
  const talker = await greeted(port);
  await talker.command('EHLO client.example');
  isSlow = true;
  talker.write('MAIL FROM:<me@example.com>\r\nRCPT TO:<you@example.net>\r\nDATA\r\nHi\r\n.\r\nNOOP\r\n');
  talker.finish();
  await eventually(() => entered.length === 1);
  await new Promise((resolve) => later(resolve, 50));
  isSlow = false;
  for (const write of held) write();
  const codes: string[] = [];
  for (let n = 0; n < 5; n++) codes.push((await talker.reply()).slice(0, 3));
  assert.deepEqual(codes, ['250', '250', '354', '250', '250']);
  await talker.closed();
});

for (const [name, implicitTLS] of [
  ['implicit TLS', true],
  ['STARTTLS', false],
] as const)
  test(`a TLS record that cannot be read ends its session at once, with ${name}`, async () => {
    const { port, ended, refused } = await serve({ listeners: [listenerAt(25, { implicitTLS })] });
    const talker = implicitTLS ? await SmtpClient.connectTls(port, {}) : await secured(port);
    if (implicitTLS) await talker.reply();
    assert.match(await talker.command('EHLO client.example'), /^250/);
    // Application data that no key of the session made.
    talker.writeBelowTls(Buffer.concat([Buffer.from([0x17, 3, 3, 0, 64]), Buffer.alloc(64, 7)]));
    await eventually(() => ended() === 1);
    assert.deepEqual(refused, ['broken_tls']);
    talker.close();
  });

test('a client that resets a session in TLS has not broken the TLS', async () => {
  const { port, ended, refused } = await serve({ listeners: [listenerAt(25)] });
  const talker = await secured(port);
  assert.match(await talker.command('EHLO client.example'), /^250/);
  talker.reset();
  await eventually(() => ended() === 1);
  assert.deepEqual(refused, []);
});
