/** `mailrelay send` against a real relay: every refusal is told, with the recipient, in words of mail. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { endWithFile } from '#test/kit/child.ts';
import { storyManifest } from '#test/kit/manifest.ts';
import { freePort } from '#test/kit/ports.ts';
import { type Ended, mailrelay, TestRelay } from '#test/kit/relay.ts';

const LAUNCHER = new URL('../../bin/mailrelay', import.meta.url).pathname;
/** Words of Node, nodemailer and OpenSSL. */
const FOREIGN =
  /command failed|use-system-ca|node:|errno|E[A-Z]{5,}|altnames|rejected|wrong version number|SSL/;

describe('mailrelay send', { concurrency: false }, () => {
  let relay: TestRelay;
  let mute: Server;

  before(async () => {
    relay = await TestRelay.start({
      ports: 3,
      manifest: ([plain, encrypted, implicit]) =>
        storyManifest({ port: plain, nextHop: 1 }).replace(
          '}]\n    clients:',
          `}, {name: required, port: ${encrypted}, starttls: Required}, {name: implicit, port: ${implicit}, implicitTLS: true}]\n    clients:`,
        ),
    });
    writeFileSync(join(relay.dir, 'ca.crt'), relay.ca());
    mute = createServer((socket) => socket.end('554 5.3.2 not today\r\n')).unref();
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  });

  after(async () => {
    mute?.close();
    await relay?.remove();
  });

  const sendTo = (port: number, to: readonly string[], ...more: string[]) =>
    mailrelay([
      ...['send', '--server', `127.0.0.1:${port}`, '--from', 'a@client.example'],
      ...to.flatMap((address) => ['--to', address]),
      ...more,
    ]);
  const send = (...more: string[]) => sendTo(relay.ports[0] ?? 0, ['b@example.com'], ...more);
  const trusting = () => ['--ca', join(relay.dir, 'ca.crt'), '--server-name', 'relay.example.com'];

  function assertRefused({ status, stdout, stderr }: Ended, ...words: string[]): void {
    assert.deepEqual([status, stdout], [1, ''], stderr);
    assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
    assert.doesNotMatch(stderr, FOREIGN);
    for (const word of words) assert.ok(stderr.includes(word), `"${word}" is not in: ${stderr}`);
  }

  test('a recipient that is refused is named, and the message goes to the others', async () => {
    const to = ['b@example.com', 'x%y@example.com', 'c!d@example.com'];
    const { status, stdout, stderr } = await sendTo(relay.ports[0] ?? 0, to, ...trusting());
    assert.equal(status, 1);
    assert.match(stdout, /^250 2\.0\.0 Ok: queued as [0-9a-v]+\nTLSv1\.3 /);
    const lines = stderr.trimEnd().split('\n');
    assert.equal(lines.length, 2);
    for (const [index, address] of ['x%y@example.com', 'c!d@example.com'].entries())
      assert.ok(lines[index]?.startsWith(`mailrelay: The recipient ${address} was refused: 5`), stderr);
  });

  test('the steps are the whole conversation, with the TLS facts where TLS begins, and the result is last', async () => {
    const tls =
      '-- TLSv1\\.3, TLS_\\w+, group \\w+; the certificate proves relay\\.example\\.com, until \\d{4}-\\S+Z';
    for (const [port, mode, begin] of [
      [0, 'starttls', `C: STARTTLS\\nS: 220 Ready to start TLS\\n${tls}\\nC: EHLO`],
      [2, 'implicit', `^${tls}\\nS: 220 `],
      [0, 'none', '^S: 220 '],
    ] as const) {
      const words = mode === 'none' ? [] : trusting();
      const all = ['--tls', mode, '--steps', ...words];
      const { status, stdout, stderr } = await sendTo(relay.ports[port] ?? 0, ['b@example.com'], ...all);
      assert.equal(status, 0, stderr);
      const steps = stdout.replace(/^ *\+\d+ ms /gm, '');
      assert.match(steps, new RegExp(begin));
      assert.match(steps, /S: 221 Bye\n250 2\.0\.0 Ok: .*\n(TLSv1\.3 \S+|plain text)\n$/);
      assert.equal(steps.match(/^-- /gm)?.length ?? 0, mode === 'none' ? 0 : 1);
    }
  });

  test('when all are refused nothing is sent, and the reply is told', async () => {
    assertRefused(
      await sendTo(relay.ports[0] ?? 0, ['x%y@example.com'], ...trusting()),
      'The message was not taken: no recipient is taken: 5',
    );
    assertRefused(
      await sendTo(relay.ports[1] ?? 0, ['b@example.com'], '--tls', 'none'),
      'the sender is refused: 530 5.7.0',
      'leave --tls none out',
    );
  });

  test('the null sender is written as <>, and what is no address is wrong usage', async () => {
    const args = ['send', '--server', `127.0.0.1:${relay.ports[0]}`, ...trusting(), '--from'];
    assert.equal((await mailrelay([...args, '<>', '--to', 'b@example.com'])).status, 0);
    for (const [from, to] of [
      ['a@client.example', 'joe@'],
      ['@client.example', 'b@example.com'],
      ['a b@client.example', 'b@example.com'],
      ['a@client.example', '<b@example.com>'],
    ] as const) {
      const { status, stderr } = await mailrelay([...args, from, '--to', to]);
      assert.equal(status, 2, stderr);
      assert.match(stderr, /must be a mail address/);
    }
  });

  test('a certificate that proves nothing is told with the option that helps', async () => {
    assertRefused(await send(), 'trusted authority', '--ca FILE');
    assertRefused(
      await send('--ca', join(relay.dir, 'ca.crt'), '--server-name', 'other.example.com'),
      'relay.example.com',
      '--server-name NAME',
    );
    assertRefused(await send('--ca', join(relay.dir, 'none.crt')), 'none.crt', 'no such file');
    assertRefused(await send('--ca', join(relay.dir, 'relay.yaml')), 'relay.yaml', 'has no certificate');
  });

  test('a server that says nothing is waited for, and a person is told so', async () => {
    const silent = createServer((socket) => socket.on('error', () => undefined)).unref();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    const to = ['--server', `127.0.0.1:${port}`, '--from', 'a@client.example', '--to', 'b@example.com'];
    const child = endWithFile(spawn(LAUNCHER, ['send', ...to]));
    const [said] = await once(child.stderr, 'data');
    assert.equal(String(said), `mailrelay: Waiting for 127.0.0.1:${port} to begin the session ...\n`);
    child.kill();
    await once(child, 'exit');
    silent.close();
  });

  test('a server that is away, refuses, or speaks something else', async () => {
    assertRefused(await sendTo(await freePort(), ['b@example.com']), 'nothing listens there');
    const away = ['send', '--server', `[::1]:${await freePort()}`, '--from', 'a@client.example'];
    assertRefused(await mailrelay([...away, '--to', 'b@example.com']), 'Cannot send through [::1]:');
    assertRefused(await send('--tls', 'implicit'), '--tls starttls');
    const { port } = mute.address() as { port: number };
    assertRefused(await sendTo(port, ['b@example.com']), 'refuses the session: 554 5.3.2 not today');
    const plain = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (line) =>
        socket.write(/^EHLO/.test(`${line}`) ? '250 plain\r\n' : '502 5.5.1 no\r\n'),
      );
      socket.write('220 plain\r\n');
    }).unref();
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    const offered = await sendTo((plain.address() as { port: number }).port, ['b@example.com']);
    plain.close();
    assertRefused(offered, '--tls none');
    assert.doesNotMatch(offered.stderr, /implicit/);
    const unknown = ['send', '--server', 'no-such-host.invalid:25', '--from', 'a@client.example'];
    assertRefused(await mailrelay([...unknown, '--to', 'b@example.com']), 'no-such-host.invalid');
  });
});
