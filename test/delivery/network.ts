/**
 * A network for one story alone, and the resolver's files: there port 25, port 53 and all addresses belong to the test,
 * and nothing leaves it. The processes of the story are alone too: all of them end with it, also when it fails. A story
 * that takes too long is ended, and the failure says which of its processes were left.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { endWithFile } from '#test/kit/child.ts';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const FILES = { RESOLV_CONF: here('resolv.conf'), HOSTS: here('hosts') };
const SCRIPT = `
ip link set lo up
for last in 1 2 3 4 5 6 7 8 9; do ip addr add 192.0.2.$last/32 dev lo; done
mount --bind "$RESOLV_CONF" /etc/resolv.conf
mount --bind "$HOSTS" /etc/hosts`;
const ALONE = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
/** Below the time of the test around it (Makefile), so that its output is told. */
const WITHIN_MS = 540_000;

export interface Network {
  /** Run in it before the story. */
  readonly commands?: string;
  readonly withinMs?: number;
}

/** Runs the tests of a file; gives what it told. */
export async function tellInNetwork(
  story: URL,
  { commands = ':', withinMs = WITHIN_MS }: Network = {},
): Promise<string> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const script = `${SCRIPT}\n${commands}\nexec "$@"`;
  const bounds = [`--test-timeout=${withinMs}`, '--test-force-exit'];
  const command = [process.execPath, '--test', ...bounds, '--test-reporter=spec', fileURLToPath(story)];
  const child = endWithFile(
    spawn('unshare', [...ALONE, 'sh', '-e', '-c', script, 'sh', ...command], {
      env: { ...env, ...FILES },
      // What a story leaves behind must not keep the output of this file open.
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );
  let told = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      told += chunk;
    });
  const late = setTimeout(() => {
    told += `\nThe story has not ended after ${withinMs / 1000} s. Its processes:\n${listProcesses(child)}`;
    child.kill('SIGKILL');
  }, withinMs);
  const status = await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(late);
  assert.equal(status, 0, told);
  return told;
}

/** With the place in the kernel where each one waits. */
function listProcesses({ pid }: ChildProcess): string {
  try {
    const [space = ''] = /\d+/.exec(readlinkSync(`/proc/${pid}/ns/pid_for_children`)) ?? [];
    const all = execFileSync('ps', ['-ww', '--forest', '-eo', 'pidns,pid,stat,wchan:24,etimes,args'], {
      encoding: 'utf8',
    });
    return all
      .split('\n')
      .filter((line) => line.trimStart().startsWith(space))
      .join('\n');
  } catch (error) {
    return (error as Error).message;
  }
}
