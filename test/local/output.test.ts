/** Standard output that takes nothing: a full disk is one sentence, and a closed pipe ends what follows a log. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { endWithFile } from '#test/kit/child.ts';
import { freePort } from '#test/kit/ports.ts';
import { messageText, SmtpClient } from '#test/kit/smtpclient.ts';

const LAUNCHER = new URL('../../bin/mailrelay', import.meta.url).pathname;
const EXAMPLE = new URL('../../examples/mailrelay.yaml', import.meta.url).pathname;

test('a full disk is one sentence and status 1, whatever was printed', () => {
  const full = openSync('/dev/full', 'w');
  for (const args of [
    ['help'],
    ['version'],
    ['completion', 'bash'],
    ['explain', 'KeyMismatch', '-o', 'json'],
    ['lint', EXAMPLE, '-o', 'sarif'],
  ]) {
    const { status, stderr } = spawnSync(LAUNCHER, args, {
      encoding: 'utf8',
      stdio: ['ignore', full, 'pipe'],
    });
    assert.deepEqual(
      [status, stderr],
      [1, 'mailrelay: Cannot write to standard output: the disk is full\n'],
      args.join(' '),
    );
  }
  const { status } = spawnSync(LAUNCHER, ['stauts'], { stdio: ['ignore', 'ignore', full] });
  assert.equal(status, 2, 'standard error is full');
  closeSync(full);
});

test('trace ends when nobody reads on, although the log goes on', async () => {
  const child = endWithFile(spawn(LAUNCHER, ['trace']));
  const line = '2026-01-31T18:00:00.000Z [abc] 192.0.2.1 session begins\n';
  child.stdin.on('error', () => undefined);
  child.stdin.write(line);
  const [printed] = await once(child.stdout, 'data');
  assert.equal(String(printed), line);
  child.stdout.destroy();
  const writing = setInterval(() => child.stdin.write(line), 50);
  const [status] = await once(child, 'exit');
  clearInterval(writing);
  assert.equal(status, 0);
});

test('a sink whose output nobody reads ends at its next message', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'mailrelay-unread-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const port = await freePort();
  const words = ['sink', '-o', 'json', '--tls', 'none', '--port', `${port}`, '--keep', dir];
  const child = endWithFile(spawn(LAUNCHER, words));
  await once(child.stderr, 'data');
  const send = async () => {
    const client = await SmtpClient.connect(port);
    await client.hello();
    await client.send('a@x.example', ['b@y.example'], messageText('unread'));
    await client.quit();
  };
  const [printed] = await Promise.all([once(child.stdout, 'data'), send()]);
  assert.equal(JSON.parse(String(printed)).number, 1);
  child.stdout.destroy();
  const [[status]] = await Promise.all([once(child, 'exit'), send().catch(() => undefined)]);
  assert.equal(status, 0);
});
