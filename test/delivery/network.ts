/**
 * A network for one story alone, and the resolver's files: there port 25, port 53 and all addresses belong to the test,
 * and nothing leaves it. The processes of the story are alone too: all of them end with it, also when it fails.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const FILES = { RESOLV_CONF: here('resolv.conf'), HOSTS: here('hosts') };
const SCRIPT = `
ip link set lo up
for last in 1 2 3 4 5 6 7 8 9; do ip addr add 192.0.2.$last/32 dev lo; done
mount --bind "$RESOLV_CONF" /etc/resolv.conf
mount --bind "$HOSTS" /etc/hosts`;
const ALONE = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
/** Ends before the test around it does (300 s), so that its output is told. */
const BOUNDED = ['--test-timeout=240000', '--test-force-exit'];

/** Runs the tests of a file, after commands of its own; gives what it told. */
export async function tellInNetwork(story: URL, commands: string): Promise<string> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const script = `${SCRIPT}\n${commands}\nexec "$@"`;
  const command = [process.execPath, '--test', ...BOUNDED, '--test-reporter=spec', fileURLToPath(story)];
  const child = spawn('unshare', [...ALONE, 'sh', '-e', '-c', script, 'sh', ...command], {
    env: { ...env, ...FILES },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let told = '';
  child.stdout.on('data', (chunk) => {
    told += chunk;
  });
  const status = await new Promise((resolve) => child.once('close', resolve));
  assert.equal(status, 0, told);
  return told;
}
