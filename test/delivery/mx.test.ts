/** Delivery by MX, in a network of its own: there port 25, port 53 and the resolver belong to the test (mx.story.ts). */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const STORY = fileURLToPath(new URL('mx.story.ts', import.meta.url));

test('delivery by MX', { timeout: 120_000 }, async () => {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const script = 'ip link set lo up && mount --bind "$RESOLV_CONF" /etc/resolv.conf && exec "$@"';
  const story = spawn(
    'unshare',
    ['--net', '--mount', 'sh', '-c', script, 'sh', process.execPath, '--test', '--test-reporter=spec', STORY],
    {
      env: { ...env, RESOLV_CONF: fileURLToPath(new URL('resolv.conf', import.meta.url)) },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let told = '';
  story.stdout.on('data', (chunk) => {
    told += chunk;
  });
  const status = await new Promise((resolve) => story.once('close', resolve));
  assert.equal(status, 0, told);
  assert.match(told, /tests 5\b/);
});
