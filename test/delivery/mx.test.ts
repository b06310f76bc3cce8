/** Delivery by MX, in a network of its own: there port 25, port 53 and the resolver belong to the test (mx.story.ts). */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const STORY = fileURLToPath(new URL('mx.story.ts', import.meta.url));
const FILES = {
  RESOLV_CONF: fileURLToPath(new URL('resolv.conf', import.meta.url)),
  HOSTS: fileURLToPath(new URL('hosts', import.meta.url)),
};
const SCRIPT = `
ip link set lo up
for last in 1 2 3 4 5 6 7 8 9; do ip addr add 192.0.2.$last/32 dev lo; done
ip -6 addr add 2001:db8::1/128 dev lo
mount --bind "$RESOLV_CONF" /etc/resolv.conf
mount --bind "$HOSTS" /etc/hosts
exec "$@"`;

test('delivery by MX', { timeout: 120_000 }, async () => {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const command = [process.execPath, '--test', '--test-reporter=spec', STORY];
  const story = spawn('unshare', ['--net', '--mount', 'sh', '-e', '-c', SCRIPT, 'sh', ...command], {
    env: { ...env, ...FILES },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let told = '';
  story.stdout.on('data', (chunk) => {
    told += chunk;
  });
  const status = await new Promise((resolve) => story.once('close', resolve));
  assert.equal(status, 0, told);
  assert.match(told, /tests 9\b/);
});
