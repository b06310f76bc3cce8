/** `mailrelay sink`: what it takes, with which TLS, what it says of it and what it keeps. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import PostalMime from 'postal-mime';
import { readTaken } from '#cli/sink/store.ts';
import type { TakenMessage } from '#cli/sink/taken.ts';
import { type Authority, makeAuthority } from '#test/kit/ca.ts';
import { endWithFile } from '#test/kit/child.ts';
import { freePort } from '#test/kit/ports.ts';
import { mailrelay } from '#test/kit/relay.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';
import { until } from '#test/kit/wait.ts';

const LAUNCHER = new URL('../../bin/mailrelay', import.meta.url).pathname;
let dir: string;
let authority: Authority;
const running: Sink[] = [];

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'mailrelay-sink-'));
  authority = await makeAuthority();
  const { cert, key } = await authority.issue(['sink.example']);
  writeFileSync(join(dir, 'tls.crt'), cert);
  writeFileSync(join(dir, 'tls.key'), key);
  writeFileSync(join(dir, 'ca.crt'), authority.cert);
});

afterEach(async () => {
  for (const sink of running.splice(0)) await sink.end();
});

after(() => rmSync(dir, { recursive: true, force: true }));

class Sink {
  readonly port: number;
  readonly #child: ChildProcess;
  stdout = '';
  stderr = '';

  private constructor(port: number, args: readonly string[]) {
    this.port = port;
    this.#child = endWithFile(
      spawn(LAUNCHER, ['sink', '--port', String(port), '--keep', join(dir, 'kept'), ...args]),
    );
    this.#child.stdout?.on('data', (chunk) => {
      this.stdout += chunk;
    });
    this.#child.stderr?.on('data', (chunk) => {
      this.stderr += chunk;
    });
  }

  static async start(...args: string[]): Promise<Sink> {
    const sink = new Sink(await freePort(), args);
    running.push(sink);
    await until('the sink', () => (sink.stdout + sink.stderr).includes('passes nothing on'));
    return sink;
  }

  messages(): TakenMessage[] {
    return this.stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  }

  async end(): Promise<number | null> {
    const ended = new Promise<number | null>((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGTERM');
    return ended;
  }
}

const send = (sink: Sink, ...args: string[]) =>
  mailrelay(['send', '--server', `127.0.0.1:${sink.port}`, '--from', '<>', '--to', 'a@example.com', ...args]);
const VERIFIED = () => ['--server-name', 'sink.example', '--ca', join(dir, 'ca.crt')];
const PAIR = () => ['--cert', join(dir, 'tls.crt'), '--key', join(dir, 'tls.key')];

test('it tells of each message how it was encrypted, and JSON has one line for each', async () => {
  const sink = await Sink.start('-o', 'json', ...PAIR());
  const subject = 'One\u001b[31m';
  assert.equal((await send(sink, '--tls', 'none', '--subject', subject, '--to', 'b@example.com')).status, 0);
  assert.equal((await send(sink, ...VERIFIED())).status, 0);
  const [plain, secured] = await until('both', () => sink.messages().length === 2 && sink.messages());
  assert.deepEqual([plain?.tls, plain?.from, plain?.to], [null, '', ['a@example.com', 'b@example.com']]);
  assert.equal(plain?.subject, subject);
  assert.deepEqual([secured?.tls?.version, secured?.tls?.serverName], ['TLSv1.3', 'sink.example']);
  await until('the sink to tell of STARTTLS', () => sink.stderr.includes('with STARTTLS'));
  assert.match(readFileSync(secured?.file ?? '', 'utf8'), /^From: <mailer-daemon@localhost>/m);
});

test('the header of a sent message is ASCII', async () => {
  const sink = await Sink.start('--tls', 'none', '-o', 'json');
  const subject = `Grüße ${'und Küsse '.repeat(9)}🙂`;
  assert.equal((await send(sink, '--tls', 'none', '--subject', subject)).status, 0);
  const [message] = await until('it', () => sink.messages().length === 1 && sink.messages());
  assert.equal(message?.subject, subject);
  const [header = ''] = readFileSync(message?.file ?? '', 'utf8').split('\r\n\r\n');
  assert.match(header, /^[ -~\r\n]+$/);
  assert.ok(
    header.split('\r\n').every((line) => line.length <= 76),
    header,
  );
  assert.equal((await PostalMime.parse(header)).subject, subject);
});

test('the text for people has no character that a terminal obeys', async () => {
  const sink = await Sink.start('--tls', 'none');
  await send(sink, '--tls', 'none', '--subject', 'One\u001b[31m');
  await until('the message', () => sink.stdout.includes('plain text'));
  assert.match(sink.stdout, /message \d+: <> to a@example\.com\n.*"One\?\[31m"/);
  assert.doesNotMatch((await send(sink)).stdout, /250/, 'STARTTLS was not offered');
});

test('it takes every recipient: quoted, international, with parameters', async () => {
  const sink = await Sink.start('-o', 'json');
  const client = await SmtpClient.connect(sink.port);
  await client.hello();
  assert.match(await client.command('MAIL FROM:<"the sender"@client.example> SIZE=100 SMTPUTF8'), /^250/);
  const to = ['"joe doe"@example.com', '"a@b\\"c>"@example.com', 'jörg@例え.example', 'plain@example.com'];
  for (const one of to) assert.match(await client.command(`RCPT TO:<${one}> NOTIFY=NEVER`), /^250/, one);
  assert.match(await client.command('RCPT TO:<"no domain"@>'), /^501/);
  assert.match(await client.command('DATA'), /^354/);
  assert.match(await client.command(`${messageText('x')}\r\n.`), /^250/);
  await client.quit();
  const [message] = await until('it', () => sink.messages().length === 1 && sink.messages());
  assert.deepEqual([message?.from, ...(message?.to ?? [])], ['"the sender"@client.example', ...to]);
});

test('TLS from the first byte, a client certificate and any login', async () => {
  const sink = await Sink.start('-o', 'json', '--tls', 'implicit', ...PAIR());
  assert.equal((await send(sink, '--tls', 'implicit', ...VERIFIED())).status, 0);
  const [{ tls } = { tls: null }] = await until('it', () => sink.messages().length === 1 && sink.messages());
  assert.equal(tls?.version, 'TLSv1.3');

  const other = await Sink.start('-o', 'json', ...PAIR());
  const { cert, key } = await authority.issue(['client.example']);
  const client = await SmtpClient.connect(other.port);
  await client.hello();
  await client.secure({ ca: authority.cert, servername: 'sink.example', pair: { cert, key } });
  assert.match(await client.command(`AUTH PLAIN ${btoa('\0joe\0anything')}`), /^235/);
  assert.match(await client.send('a@client.example', ['b@example.com'], messageText('x')), /^250/);
  await client.quit();
  const [message] = await until('it', () => other.messages().length === 1 && other.messages());
  assert.deepEqual([message?.user, message?.tls?.clientCertificate], ['joe', 'client.example']);
});

test('the last hundred are kept, the numbers go on after a restart, and other files stay', async () => {
  const keep = join(dir, 'hundred');
  const first = await Sink.start('--keep', keep, '-o', 'json');
  writeFileSync(join(keep, 'notes.txt'), 'mine');
  const deliver = async (sink: Sink, many: number) => {
    const client = await SmtpClient.connect(sink.port);
    await client.hello();
    for (let index = 0; index < many; index++)
      assert.match(await client.send('a@client.example', ['b@example.com'], messageText('x')), /^250/);
    await client.quit();
  };
  await deliver(first, 60);
  assert.equal(await first.end(), 0);
  running.splice(0);
  await deliver(await Sink.start('--keep', keep), 60);
  const names = readdirSync(keep).toSorted();
  const mail = names.filter((name) => name.endsWith('.eml'));
  assert.deepEqual([mail.length, mail[0], mail[99]], [100, '000021.eml', '000120.eml']);
  assert.deepEqual(
    names.filter((name) => !name.endsWith('.eml')),
    [...mail.map((name) => name.replace('.eml', '.json')), 'notes.txt'],
  );
});

test('what is known of each message is kept beside it, the latest first', async () => {
  const keep = join(dir, 'known');
  const sink = await Sink.start('--keep', keep, '-o', 'json', ...PAIR());
  assert.equal((await send(sink, '--tls', 'none')).status, 0);
  assert.equal((await send(sink, ...VERIFIED())).status, 0);
  const messages = await until('both', () => sink.messages().length === 2 && sink.messages());
  assert.deepEqual(readTaken(keep), messages.toReversed());
  writeFileSync(join(keep, '000002.json'), '{');
  assert.deepEqual(readTaken(keep), messages.slice(0, 1));
  assert.deepEqual(readTaken(join(dir, 'nowhere')), []);
});

test('what cannot be is one sentence', async () => {
  const sink = await Sink.start();
  const fails = async (args: readonly string[], status: number, words: RegExp) => {
    const ended = await mailrelay(['sink', '--keep', join(dir, 'other'), ...args]);
    assert.equal(ended.status, status, ended.stderr);
    assert.match(ended.stderr, words);
  };
  await fails(
    ['--port', String(sink.port)],
    1,
    /^mailrelay: .* port \d+: the port is in use; choose .*--port\n$/,
  );
  await fails(['--listen', '192.0.2.1'], 1, /this machine does not have that address/);
  await fails(
    ['--keep', '/proc/mailrelay/in', '--port', String(await freePort())],
    1,
    /Cannot write "\/proc/,
  );
  await fails(['--keep', join(dir, 'tls.crt', 'in')], 1, /^mailrelay: Cannot write ".*": .*\n$/);
  await fails(['--cert', join(dir, 'none')], 2, /both --cert and --key/);
  await fails(['--cert', join(dir, 'none'), '--key', join(dir, 'none')], 1, /Cannot read .*no such file/);
  const wrong = [
    '--cert',
    join(dir, 'ca.crt'),
    '--key',
    join(dir, 'tls.key'),
    '--port',
    String(await freePort()),
  ];
  await fails(wrong, 1, /^mailrelay: .*--cert and --key.*\n$/);
});
