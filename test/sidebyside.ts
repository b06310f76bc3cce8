/**
 * The stories of the operator and those of the cluster, side by side: both wait for Kubernetes most of the time, each for
 * one of its own. The cluster tells as it goes, the operator when it has ended. The exit status is the worse one.
 */
import { spawn } from 'node:child_process';

function run(name: string, stdio: 'inherit' | 'pipe'): Promise<{ status: number; output: string }> {
  const program = new URL(name, import.meta.url).pathname;
  const child = spawn(process.execPath, [program, 'test'], { stdio: ['ignore', stdio, stdio] });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk) => {
      output += chunk;
    });
  return new Promise((resolve) => child.once('close', (status) => resolve({ status: status ?? 1, output })));
}

const [cluster, operator] = await Promise.all([
  run('cluster/run.ts', 'inherit'),
  run('operator/run.ts', 'pipe'),
]);
process.stdout.write(`== the operator\n${operator.output}`);
process.exitCode = Math.max(cluster.status, operator.status);
