/**
 * Runs the cluster tests: on the cluster of MAILRELAY_KUBECONFIG where that is set, else on one that is started for
 * them. Without root or Go they are skipped, loudly; with CI set a skip is a failure. `up` and `down` keep a cluster
 * running between runs: `node test/cluster/run.ts up`, `test`, `down`.
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { type Cluster, clusterProblem, NODE_ADDRESS, startCluster, stopCluster } from './cluster.ts';
import { buildImage } from './image.ts';
import type { Prepared } from './kube.ts';
import { programs } from './programs.ts';

const started = Date.now();

function say(line: string): void {
  process.stderr.write(`cluster: ${Math.round((Date.now() - started) / 1000)} s: ${line}\n`);
}

async function test(patterns: readonly string[]): Promise<number> {
  const given = process.env['MAILRELAY_KUBECONFIG'];
  if (given) return testGiven(given, patterns);
  const problem = clusterProblem();
  if (problem) {
    process.stderr.write(`\n*** THE CLUSTER TESTS ARE SKIPPED: ${problem} ***\n\n`);
    return process.env['CI'] ? 1 : 0;
  }
  const cluster = await startCluster('test', say);
  const stop = async () => {
    say('stopping');
    await cluster.stop();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void stop().then(() => process.exit(1)));
  try {
    return await runTests(await prepare(cluster), cluster.enter, patterns);
  } finally {
    await stop();
  }
}

async function prepare(cluster: Cluster): Promise<Prepared> {
  const { archive, ...image } = buildImage(say);
  say('importing the image');
  cluster.importImage(archive);
  return {
    kubeconfig: cluster.kubeconfig,
    kubectl: cluster.programs.get('kubectl') ?? 'kubectl',
    helm: cluster.programs.get('helm') ?? 'helm',
    image,
    auditLog: `${cluster.dir}/audit.log`,
    nodeAddress: NODE_ADDRESS,
  };
}

/** The image must be where that cluster finds it: MAILRELAY_IMAGE=repository:tag. */
async function testGiven(kubeconfig: string, patterns: readonly string[]): Promise<number> {
  const [repository, tag] = (process.env['MAILRELAY_IMAGE'] ?? '').split(/:(?=[^/:]+$)/);
  const nodeAddress = process.env['MAILRELAY_NODE_ADDRESS'];
  if (!repository || !tag || !nodeAddress) {
    throw new Error(
      'With MAILRELAY_KUBECONFIG set, MAILRELAY_IMAGE=repository:tag and MAILRELAY_NODE_ADDRESS (an address of this machine that pods reach) are needed',
    );
  }
  const prepared = {
    kubeconfig,
    kubectl: 'kubectl',
    helm: 'helm',
    image: { repository, tag },
    auditLog: '',
    nodeAddress,
  };
  return runTests(prepared, [], patterns);
}

function runTests(
  prepared: Prepared,
  enter: readonly string[],
  patterns: readonly string[],
): Promise<number> {
  const files = globSync(patterns.length > 0 ? [...patterns] : ['test/cluster/*.test.ts']).toSorted();
  const [program = process.execPath, ...args] = [...enter, process.execPath];
  const child = spawn(
    program,
    [...args, '--test', '--test-concurrency=1', '--test-reporter=spec', ...files],
    {
      stdio: 'inherit',
      env: { ...process.env, MAILRELAY_CLUSTER: JSON.stringify(prepared) },
    },
  );
  return new Promise((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
}

async function main([verb = 'test', ...rest]: string[]): Promise<number> {
  switch (verb) {
    case 'build':
      await programs(say);
      return 0;
    case 'up': {
      const cluster = await startCluster('dev', say);
      process.stdout.write(`${cluster.enter.join(' ')}\nKUBECONFIG=${cluster.kubeconfig}\n`);
      return 0;
    }
    case 'down':
      await stopCluster('dev');
      return 0;
    case 'image':
      process.stdout.write(`${buildImage(say, undefined, process.env['BASE']).archive}\n`);
      return 0;
    case 'test':
      return test(rest);
    default:
      process.stderr.write('usage: node test/cluster/run.ts [build | image | up | down | test [FILES]]\n');
      return 2;
  }
}

process.exit(await main(process.argv.slice(2)));
