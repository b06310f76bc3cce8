/** Syncs a message, by the kernel's own record (strace), at a load that leaves nothing to gather. No timing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Pair } from '#test/kit/ca.ts';
import { until } from '#test/kit/wait.ts';
import { send } from './load.ts';
import { delivered, withPeer } from './measure.ts';
import type { Peer } from './peer.ts';
import type { Scenario } from './scenarios.ts';
import { treeOf } from './tree.ts';

const SYNCS = 'fsync,fdatasync,sync_file_range,sync,syncfs,msync';
const MESSAGES = 200;

export async function syncsOf(peer: Peer, { load, ...scenario }: Scenario, pair: Pair): Promise<string> {
  const low = { ...scenario, load: { ...load, connections: 2 } };
  return withPeer(peer, low, pair, async ({ sink, setting: { port }, running }) => {
    const pids = treeOf(running.pid).flatMap((pid) => ['-p', String(pid)]);
    const strace = spawn('strace', ['-f', '-e', `trace=${SYNCS}`, ...pids], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let text = '';
    strace.stderr.on('data', (chunk) => {
      text += chunk;
    });
    await until('strace to attach', () => text.includes('attached'));
    const sent = await send(port, 'run-', low.load, { seconds: 60, messages: MESSAGES });
    await delivered(sink, ({ distinct }) => distinct, sent.accepted);
    strace.kill('SIGINT');
    await once(strace, 'exit');
    const calls = [...text.matchAll(/\b(fsync|fdatasync|sync_file_range|syncfs|msync|sync)\(/g)].length;
    return `${(calls / sent.accepted).toFixed(2)} syncs a message (${calls} for ${sent.accepted})`;
  });
}
