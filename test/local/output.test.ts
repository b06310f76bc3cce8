/** Standard output that takes nothing: a full disk is one sentence, and a closed pipe ends what follows a log. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { endWithFile } from '#test/kit/child.ts';

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
