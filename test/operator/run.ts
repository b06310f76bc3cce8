/**
 * Runs test programs beside a real API server, in a network namespace that it makes and removes. `test [FILES]` runs
 * the stories of the operator, `bench` its benchmark. Without root or Go they are skipped with a message; with CI set a
 * skip is a failure.
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { clusterAvailability } from '#test/cluster/cluster.ts';
import { NODE_ADDRESS } from '#test/cluster/configuration.ts';
import { makeNetwork } from '#test/cluster/isolation.ts';
import { installPackages } from '#test/cluster/packages.ts';
import { clear, clearStale, placeOf, take } from '#test/cluster/place.ts';
import { programs } from '#test/cluster/programs.ts';
import type { Given } from './plane.ts';

const USAGE = 'usage: node test/operator/run.ts test [FILES] | bench [OPTIONS]\n';
const BENCH = new URL('../bench/operator.ts', import.meta.url).pathname;

function say(line: string): void {
  process.stderr.write(`operator: ${line}\n`);
}

function argumentsOf([verb, ...rest]: readonly string[]): string[] | undefined {
  if (verb === 'bench') return [BENCH, ...rest];
  if (verb !== 'test') return undefined;
  const files = globSync(rest.length > 0 ? rest : ['test/operator/*.test.ts']).toSorted();
  // One process, because the stories share one API server. The exit is forced, because a failed story may leave handles
  // open.
  return ['--test', '--test-isolation=none', '--test-force-exit', '--test-reporter=spec', ...files];
}

async function inNamespace(args: readonly string[]): Promise<number> {
  installPackages(say);
  const built = await programs(say);
  await clearStale();
  const place = placeOf(`operator-${process.pid}`);
  await take(place);
  try {
    makeNetwork(place.netns, NODE_ADDRESS);
    const given: Given = { name: place.name, programs: [...built] };
    const env = { ...process.env, MAILRELAY_PLANE: JSON.stringify(given) };
    const child = spawn('nsenter', [`--net=/run/netns/${place.netns}`, process.execPath, ...args], {
      stdio: 'inherit',
      env,
    });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => child.kill(signal));
    return await new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
  } finally {
    await clear(place);
  }
}

async function main(argv: readonly string[]): Promise<number> {
  const args = argumentsOf(argv);
  if (!args) {
    process.stderr.write(USAGE);
    return 2;
  }
  const availability = clusterAvailability();
  if (availability.kind !== 'unavailable') return inNamespace(args);
  process.stderr.write(`\n*** THE STORIES OF THE OPERATOR ARE SKIPPED: ${availability.reason} ***\n\n`);
  return process.env['CI'] ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
