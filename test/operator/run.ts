/**
 * Runs test programs beside a real API server, in a network namespace that it makes and removes. `test [FILES]` runs
 * the stories of the operator in two lanes, `bench` its benchmark. Without root or Go they are skipped with a message; with CI set a
 * skip is a failure.
 */
import { globSync } from 'node:fs';
import { basename } from 'node:path';
import { clusterAvailability } from '#test/cluster/cluster.ts';
import { NODE_ADDRESS } from '#test/cluster/configuration.ts';
import { makeNetwork } from '#test/cluster/isolation.ts';
import { installPackages } from '#test/cluster/packages.ts';
import { clear, clearStale, placeOf, take } from '#test/cluster/place.ts';
import { programs } from '#test/cluster/programs.ts';
import { runToEnd, type Told } from '#test/kit/runtoend.ts';
import type { Given } from './plane.ts';

const USAGE = 'usage: node test/operator/run.ts test [FILES] | bench [OPTIONS]\n';
/** These numbers take as long as all others together. Both halves run at once, each at an API server of its own. */
const SECOND_LANE = /^[6-9]-/;
const BENCH = new URL('../bench/operator.ts', import.meta.url).pathname;

function say(line: string): void {
  process.stderr.write(`operator: ${line}\n`);
}

/** What the processes do, each beside an API server of its own; undefined: the usage is wrong. */
function argumentsOf([verb, ...rest]: readonly string[]): readonly (readonly string[])[] | undefined {
  if (verb === 'bench') return [[BENCH, ...rest]];
  if (verb !== 'test') return undefined;
  const files = globSync(rest.length > 0 ? rest : ['test/operator/*.test.ts']).toSorted();
  const lanes = Object.groupBy(files, (file) => String(SECOND_LANE.test(basename(file))));
  // One process for each lane, because its stories share one API server. The exit is forced, because a failed story may
  // leave handles open.
  const options = ['--test', '--test-isolation=none', '--test-force-exit', '--test-reporter=spec'];
  return Object.values(lanes).map((lane = []) => [...options, ...lane]);
}

/** The exit status. The first of several processes tells as it goes, the others when they have ended. */
async function runAll(processes: readonly (readonly string[])[]): Promise<number> {
  installPackages();
  const built = await programs(say);
  await clearStale();
  const ended = await Promise.all(
    processes.map((args, index) =>
      inNamespace(`operator-${process.pid}-${index}`, [...built], args, index === 0),
    ),
  );
  for (const { output } of ended) process.stdout.write(output);
  return Math.max(...ended.map(({ status }) => status));
}

async function inNamespace(
  name: string,
  built: Given['programs'],
  args: readonly string[],
  isShown: boolean,
): Promise<Told> {
  const place = placeOf(name);
  await take(place);
  try {
    makeNetwork(place.netns, NODE_ADDRESS);
    const given: Given = { name, programs: built };
    const env = { ...process.env, MAILRELAY_PLANE: JSON.stringify(given) };
    const command = ['nsenter', `--net=/run/netns/${place.netns}`, process.execPath, ...args];
    return await runToEnd(command, { isShown, env });
  } finally {
    await clear(place);
  }
}

async function main(argv: readonly string[]): Promise<number> {
  const processes = argumentsOf(argv);
  if (!processes) {
    process.stderr.write(USAGE);
    return 2;
  }
  const availability = clusterAvailability();
  if (availability.kind !== 'unavailable') return runAll(processes);
  process.stderr.write(`\n*** THE STORIES OF THE OPERATOR ARE SKIPPED: ${availability.reason} ***\n\n`);
  return process.env['CI'] ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
