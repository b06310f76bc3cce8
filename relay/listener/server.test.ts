import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { SMTPServer } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js';
import type { Policy } from '#crds/policyfile.ts';
import { makePair } from '#test/kit/ca.ts';
import { SILENT } from '#test/kit/hopway.ts';
import { clientsOf, listenerAt, type PodDirs, podDirs, policyOf } from '#test/kit/relayrig.ts';
import { SmtpClient } from '#test/kit/smtpclient.ts';
import { eventually } from '#test/kit/wait.ts';
import { MessageRate } from '../supervisor/rate.ts';
import { CLOCKS } from '../task/clock.ts';
import { Counters } from '../task/counts.ts';
import { NO_MATERIALS } from '../task/materials.ts';
import type { PairText } from '../task/messages.ts';
import { type Intake, openIntake } from './intake.ts';
import { Logins } from './logins.ts';
import { ListenerTask } from './task.ts';

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
  assert.ok(server.connections instanceof Set);
  assert.ok(server._pendingSockets instanceof Map);
  assert.ok(server.secureContext instanceof Map);
});

interface Serving {
  readonly port: number;
  readonly task: ListenerTask;
  readonly plaintext: string[];
  readonly entered: string[];
  readonly ended: () => number;
  /** The rules of all refusals. */
  readonly refused: string[];
  /** System calls that wrote plain text to clients. */
  readonly writes: () => number;
  close(): void;
}

let dirs: PodDirs;
let pair: PairText;
const servers: Server[] = [];
const intakes: Intake[] = [];

before(async () => {
  dirs = podDirs();
  pair = await makePair();
});

after(async () => {
  for (const server of servers) server.close();
  for (const intake of intakes) await intake.close();
  dirs.remove();
});

/** A listener task in this process. A server passes sockets to it as the supervisor does. */
async function serve(
  inbound: Partial<Policy['inbound']>,
  withPair: PairText | null = pair,
  onSocket: (socket: Socket) => void = () => undefined,
): Promise<Serving> {
  const plaintext: string[] = [];
  const entered: string[] = [];
  const refused: string[] = [];
  let ended = 0;
  const policy = policyOf({ listeners: [listenerAt(25)], ...inbound });
  const log = () => undefined;
  const onEntered = (id: string) => entered.push(id);
  const counters = new Counters();
  const intake = openIntake(policy, NO_MATERIALS, dirs.stateDir, {
    log,
    tracer: SILENT,
    counters,
    onEntered,
    onNowhere: () => undefined,
  });
  intakes.push(intake);
  const rates = { client: new MessageRate(), login: new MessageRate(), recipient: new MessageRate() };
  const task = new ListenerTask({
    policy,
    pairs: { host: withPair, bySecret: {} },
    ticketKeys: [],
    materials: NO_MATERIALS,
    take: (stream, arrival) => intake.take(stream, arrival),
    refusalOfMore: (bytes) => intake.refusalOfMore(bytes),
    // No minute turns between the commands of a test.
    countMessage: async (of, who) => rates[of].count(who, 0),
    tracer: SILENT,
    counters,
    log: () => undefined,
    clocks: CLOCKS,
    onPlaintext: (client, _helo, isRefused) => plaintext.push(`${client} ${isRefused ? 'refused' : 'taken'}`),
    onRefused: ({ rule }) => refused.push(rule),
  });
  let writes = 0;
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    onSocket(socket);
    countWrites(socket, () => {
      writes += 1;
    });
    task.receive('smtp', '127.0.0.1', socket, () => {
      ended += 1;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  servers.push(server);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    task,
    plaintext,
    entered,
    ended: () => ended,
    refused,
    writes: () => writes,
    close: () => server.close(),
  };
}

/** Node makes one system call of each call of these two. */
function countWrites(socket: Socket, count: () => void): void {
  const { _write, _writev } = socket;
  socket._write = (...args) => {
    count();
    _write.apply(socket, args);
  };
  socket._writev = (...args) => {
    count();
    _writev?.apply(socket, args);
  };
}

async function greeted(port: number): Promise<SmtpClient> {
  const talker = await SmtpClient.connect(port);
  assert.match(await talker.reply(), /^220 /);
  return talker;
}

async function secured(port: number): Promise<SmtpClient> {
  const talker = await greeted(port);
  await talker.command('EHLO client.example');
  await talker.command('STARTTLS');
  await talker.startTls({});
  return talker;
}

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
