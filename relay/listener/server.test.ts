/**
 * A listener task answers real clients: what it offers, refuses and takes before and after STARTTLS, and within its
 * limits.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { SMTPServer } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js';
import { greeted, pair, secured, serve } from '#test/kit/listenerrig.ts';
import { clientsOf, listenerAt, policyOf } from '#test/kit/relayrig.ts';
import { SmtpClient } from '#test/kit/smtpclient.ts';
import { eventually } from '#test/kit/wait.ts';
import { Logins } from './logins.ts';

test('the parts of smtp-server that we override are those of the pinned version', () => {
  const pinned = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  assert.equal(pinned.dependencies['smtp-server'], '3.21.6');
  for (const method of [
    '_onCommand',
    '_onClose',
    '_whenWritable',
    '_isSupported',
    'handler_AUTH',
    'handler_DATA',
    'init',
    'send',
    'close',
  ]) {
    assert.equal(typeof SMTPConnection.prototype[method as keyof SMTPConnection], 'function', method);
  }
  const server = new SMTPServer({ logger: false });
  assert.equal(typeof server.connect, 'function');
  assert.equal(typeof server._handleProxy, 'function');
  assert.ok(server.connections instanceof Set);
  assert.ok(server._pendingSockets instanceof Map);
  assert.ok(server.secureContext instanceof Map);
});

test('a stranger who talks before the greeting is sent away; whom we trust is greeted at once', async () => {
  const { clients } = listenerAt(25);
  const open = await serve({ listeners: [listenerAt(25, { clients: { ...clients, networks: [] } })] });
  const stranger = await SmtpClient.connect(open.port);
  assert.match(await stranger.command('EHLO client.example'), /^421 .*You talk too soon/);
  const { port } = await serve({});
  const trusted = await SmtpClient.connect(port);
  assert.match(await trusted.command('EHLO client.example'), /^220 /);
  assert.match(await trusted.reply(), /^250[ -]/);
  assert.match(await trusted.command('QUIT'), /^221 /);
});

test('Required: the banner and EHLO are plain, mail is 530 until STARTTLS, then 250', async () => {
  const { port, entered, plaintext } = await serve({ listeners: [listenerAt(25, { starttls: 'Required' })] });
  const talker = await greeted(port);
  const ehlo = await talker.command('EHLO client.example');
  assert.match(ehlo, /^250[ -]STARTTLS$/m);
  assert.doesNotMatch(ehlo, /AUTH/);
  assert.equal(
    await talker.command('MAIL FROM:<me@example.com>'),
    '530 5.7.0 Must issue a STARTTLS command first',
  );
  assert.deepEqual(
    await talker.codes('AUTH PLAIN AAAA', 'VRFY you', 'DATA', 'NOOP', 'RSET'),
    [530, 530, 530, 250, 250],
  );
  const ready = await talker.command('STARTTLS');
  assert.equal(ready, '220 Ready to start TLS');
  await talker.startTls({});
  assert.doesNotMatch(await talker.command('EHLO client.example'), /STARTTLS|AUTH/);
  const codes = await talker.codes(
    'MAIL FROM:<me@example.com>',
    'RCPT TO:<you@example.net>',
    'DATA',
    'Hi\r\n.',
  );
  assert.deepEqual(codes, [250, 250, 354, 250]);
  assert.equal(entered.length, 1);
  assert.deepEqual(plaintext, ['127.0.0.1 refused']);
  talker.close();
});

test('Disabled: STARTTLS is not offered and not obeyed', async () => {
  const { port, plaintext } = await serve({ listeners: [listenerAt(25, { starttls: 'Disabled' })] });
  const talker = await greeted(port);
  assert.doesNotMatch(await talker.command('EHLO client.example'), /STARTTLS|AUTH/);
  assert.deepEqual(await talker.codes('STARTTLS', 'AUTH LOGIN', 'MAIL FROM:<>'), [502, 502, 250]);
  assert.deepEqual(plaintext, [], 'nothing was taken yet');
  assert.deepEqual(await talker.codes('RCPT TO:<you@example.net>', 'DATA', '.'), [250, 354, 250]);
  assert.deepEqual(plaintext, ['127.0.0.1 taken']);
  talker.close();
});

test('a client policy is the policy of its clients', async () => {
  const clientPolicies = [
    { networks: ['127.0.0.1'], starttls: 'Required' as const, minTlsVersion: null, lineEndings: null },
  ];
  const { port } = await serve({ clientPolicies });
  const talker = await greeted(port);
  assert.deepEqual(await talker.codes('EHLO client.example', 'MAIL FROM:<>'), [250, 530]);
  talker.close();
});

test('commands that smtp-server has and a relay must not have are refused', async () => {
  const { port } = await serve({});
  const talker = await greeted(port);
  const codes = await talker.codes(
    'WIZ x',
    'SHELL',
    'KILL',
    'XCLIENT ADDR=1.2.3.4',
    'XFORWARD NAME=x',
    'LHLO x',
  );
  assert.deepEqual(codes, [502, 502, 502, 502, 502, 502]);
  assert.deepEqual(await talker.codes('EHLO client.example', 'VRFY root', 'EXPN list'), [250, 252, 500]);
  talker.close();
});

test('a command that only Unicode folds into MAIL is not MAIL', async () => {
  const { port } = await serve({ listeners: [listenerAt(25, { auth: 'Required' })] });
  const talker = await secured(port);
  await talker.command('EHLO client.example');
  assert.deepEqual(
    await talker.codes('MAıL FROM:<me@example.com>', 'MAIL FROM:<me@example.com>'),
    [500, 530],
  );
  talker.close();
});

for (const [name, body] of [
  ['a bare LF', 'one\ntwo\r\n'],
  ['a bare CR', 'one\rtwo\r\n'],
  ['LF.CRLF', 'one\n.\r\nMAIL FROM:<evil@example.com>\r\n'],
  ['a NUL', 'one\0two\r\n'],
  ['CR.CR', 'one\r.\rMAIL FROM:<evil@example.com>\r\n'],
  ['CRLF.CR', 'one\r\n.\rMAIL FROM:<evil@example.com>\r\n'],
] as const) {
  test(`a message with ${name} is refused whole, and the session stays in step`, async () => {
    const { port, entered } = await serve({});
    const talker = await greeted(port);
    await talker.codes('EHLO client.example', 'MAIL FROM:<>', 'RCPT TO:<you@example.net>', 'DATA');
    talker.write(`Subject: x\r\n\r\n${body}.\r\n`);
    assert.match(await talker.reply(), /^554 5\.6\.0 /);
    assert.deepEqual(await talker.codes('NOOP', 'MAIL FROM:<>'), [250, 250]);
    assert.deepEqual(entered, []);
    talker.close();
  });
}

test('LF.LF is answered 554 and ends the session where no bare LF is taken, and nothing behind it is obeyed', async () => {
  const { port, entered } = await serve({});
  const talker = await greeted(port);
  await talker.codes('EHLO client.example', 'MAIL FROM:<>', 'RCPT TO:<you@example.net>', 'DATA');
  talker.write('Subject: x\n\none\n.\nMAIL FROM:<evil@example.com>\r\nRCPT TO:<you@example.net>\r\n');
  assert.match(await talker.reply(), /^554 5\.6\.0 /);
  await talker.closed();
  assert.deepEqual(entered, []);
});

for (const [name, text] of [
  ['LF.CRLF', 'one\n.\r\n'],
  ['CRLF.LF', 'one\r\n.\n'],
  ['.LF alone', '.\n'],
] as const)
  test(`a client that waits for an answer to ${name} is told`, async () => {
    const { port } = await serve({});
    const talker = await greeted(port);
    await talker.codes('EHLO client.example', 'MAIL FROM:<>', 'RCPT TO:<you@example.net>', 'DATA');
    talker.write(text);
    assert.match(await talker.reply(), /^554 5\.6\.0 /);
    await talker.closed();
  });

test('Normalize: LF ends lines, LF.LF is data, and only CRLF.CRLF ends a message', async () => {
  const { port, entered } = await serve({ listeners: [listenerAt(25, { lineEndings: 'Normalize' })] });
  const talker = await greeted(port);
  const message = async (text: string) => {
    await talker.codes('RSET', 'MAIL FROM:<>', 'RCPT TO:<you@example.net>', 'DATA');
    return talker.command(text);
  };
  await talker.command('EHLO client.example');
  for (const text of ['one\ntwo\r\n.', 'one\n.\ntwo\r\n.', 'one\n.\r\nMAIL FROM:<>\r\n.', 'a\rb\0\r\n.'])
    assert.match(await message(text), /^250 /, JSON.stringify(text));
  assert.equal(entered.length, 4);
  await talker.codes('MAIL FROM:<>', 'RCPT TO:<you@example.net>', 'DATA');
  talker.write('one\n.\n');
  assert.match(await talker.reply(), /^554 5\.6\.0 /);
  await talker.closed();
  assert.equal(entered.length, 4);
});

test('a message beyond the limit is refused at MAIL and in flight, and the session stays in step', async () => {
  const { port, entered } = await serve({});
  const talker = await greeted(port);
  await talker.command('EHLO client.example');
  assert.match(await talker.command('MAIL FROM:<> SIZE=1000001'), /^552 5\.3\.4 /);
  await talker.codes('MAIL FROM:<>', 'RCPT TO:<you@example.net>', 'DATA');
  talker.write(`${'x'.repeat(998)}\r\n`.repeat(1001));
  talker.write('.\r\n');
  assert.match(await talker.reply(), /^552 5\.3\.4 /);
  assert.deepEqual(await talker.codes('NOOP'), [250]);
  assert.deepEqual(entered, []);
  talker.close();
});

test('recipients beyond the limit wait for another transaction', async () => {
  const { port } = await serve({
    limits: { ...policyOf().inbound.limits, recipients: 2, messagesPerClientPerMinute: 2 },
  });
  const talker = await greeted(port);
  const rcpt = (name: string) => `RCPT TO:<${name}@example.net>`;
  await talker.codes('EHLO client.example', 'MAIL FROM:<>');
  assert.deepEqual(await talker.codes(rcpt('a'), rcpt('b'), rcpt('c')), [250, 250, 452]);
  assert.deepEqual(await talker.codes('RSET', 'MAIL FROM:<>', 'RSET', 'MAIL FROM:<>'), [250, 250, 250, 450]);
  talker.close();
});

test('without a pair a listener that needs one takes nobody in, and never has the key of the library', async () => {
  const enabled = await serve({}, null);
  const waiting = await greeted(enabled.port);
  assert.doesNotMatch(await waiting.command('EHLO client.example'), /STARTTLS|AUTH/);
  assert.equal(await waiting.command('STARTTLS'), '454 4.7.0 TLS is not available now, try again later');
  assert.match(await waiting.command('MAIL FROM:<>'), /^451 4\.3\.2 /);
  waiting.close();
  const implicit = await serve(
    { listeners: [listenerAt(25, { implicitTLS: true, starttls: 'Disabled' })] },
    null,
  );
  await assert.rejects(SmtpClient.connectTls(implicit.port, {}));
  const disabled = await serve({ listeners: [listenerAt(25, { starttls: 'Disabled' })] }, null);
  const talker = await greeted(disabled.port);
  assert.deepEqual(await talker.codes('EHLO client.example', 'STARTTLS', 'MAIL FROM:<>'), [250, 502, 250]);
  await eventually(() => enabled.ended() === 1 && implicit.ended() === 1);
  talker.close();
});

test('a pair that arrives later is used for the next handshake', async () => {
  const { port, task } = await serve(
    { listeners: [listenerAt(25, { implicitTLS: true, starttls: 'Disabled' })] },
    null,
  );
  await assert.rejects(SmtpClient.connectTls(port, {}));
  task.usePairs({ host: pair, bySecret: {} });
  const talker = await SmtpClient.connectTls(port, {});
  assert.match(await talker.reply(), /^220 /);
  talker.close();
});

test('a client that goes on being refused is ended', async () => {
  const { port } = await serve({ listeners: [listenerAt(25, { clients: clientsOf({ networks: [] }) })] });
  const talker = await greeted(port);
  await talker.codes('EHLO client.example', 'MAIL FROM:<>');
  const codes = await talker.codes(...Array.from({ length: 51 }, () => 'RCPT TO:<you@example.net>'));
  assert.deepEqual([codes[0], codes[49], codes[50]], [550, 550, 421]);
  await talker.closed();
});

test('a login that fails by an error of our own gets an answer for now, and the session goes on', async (t) => {
  t.mock.method(Logins.prototype, 'exchange', () => async () => assert.fail('no thread'));
  const clients = clientsOf({ usersSecret: 'users' });
  const { port, refused } = await serve({ listeners: [listenerAt(25, { auth: 'Optional', clients })] });
  const talker = await secured(port);
  await talker.command('EHLO client.example');
  assert.match(await talker.command('AUTH SCRAM-SHA-256 bg=='), /^451 4\.3\.0 /);
  assert.match(await talker.command('NOOP'), /^250 /);
  assert.deepEqual(refused, ['local_error']);
  talker.close();
});
