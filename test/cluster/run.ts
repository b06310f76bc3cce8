/**
 * The command line of the test cluster. `test` runs the cluster tests on a cluster that is started for them; on the
 * one that `up` keeps where MAILRELAY_CLUSTER=reuse is set; on that of MAILRELAY_KUBECONFIG where that is set. Without
 * root or Go they are skipped, loudly; with CI set a skip is a failure.
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fetchNameServers } from '#test/kit/dnstree.ts';
import { runToEnd } from '#test/kit/runtoend.ts';
import {
  type Cluster,
  clusterAvailability,
  keptCluster,
  startCluster,
  startKeptCluster,
  stopKeptCluster,
} from './cluster.ts';
import { buildImage, type Image, type ImageOptions } from './image.ts';
import type { Prepared } from './kube.ts';
import { withOlderSources } from './older.ts';
import { installPackages } from './packages.ts';
import { buildPlugin } from './plugin.ts';
import { programs } from './programs.ts';

/** Several clusters may be kept side by side, each under a name of its own. */
const KEPT = process.env['MAILRELAY_CLUSTER_NAME'] ?? 'dev';
/**
 * Files of this number run side by side: each has a namespace of its own, promises no time, and leaves the operator alone.
 * They begin by name; the names of those that take longest come early, so that none of them runs alone at the end.
 */
const SIDE_BY_SIDE = { number: '5', files: 3 };
const TEST_OPTIONS = ['--test-force-exit', '--test-reporter=spec'];
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
const USAGE = `usage: node test/cluster/run.ts VERB
  build         build the programs of the cluster, once a machine
  up            start a cluster and leave it running
  env           how a shell uses it: eval "$(node test/cluster/run.ts env)"
  load          build the image and import it there
  down          end it
  images        build the image and that of an older version, as tests want them
  image         build the image only (NODE_IMAGE=... and BASE=... name other images to begin with, REVISION=... the commit,
                PLATFORM=linux/arm64 another processor)
  plugin        build kubectl mailrelay as an archive, with its manifest for krew (RELEASES=...: where archives are published)
  test [FILES]  run the cluster tests (MAILRELAY_CLUSTER=reuse: on the cluster that is up)
`;

const started = Date.now();

function say(line: string): void {
  process.stderr.write(`cluster: ${Math.round((Date.now() - started) / 1000)} s: ${line}\n`);
}

async function test(patterns: readonly string[]): Promise<number> {
  const availability = clusterAvailability();
  switch (availability.kind) {
    case 'given':
      return runTests(preparedGiven(availability.kubeconfig), [], patterns);
    case 'unavailable':
      process.stderr.write(`\n*** THE CLUSTER TESTS ARE SKIPPED: ${availability.reason} ***\n\n`);
      return process.env['CI'] ? 1 : 0;
    case 'available':
      return process.env['MAILRELAY_CLUSTER'] === 'reuse' ? testOn(running(), patterns) : testOnNew(patterns);
  }
}

/** Before all tests, so that none of them waits for a compiler, and no two of them run the same one. */
async function build(): Promise<number> {
  const availability = clusterAvailability();
  if (availability.kind === 'unavailable') {
    process.stderr.write(`\n*** NOTHING IS BUILT: ${availability.reason} ***\n\n`);
    return process.env['CI'] ? 1 : 0;
  }
  if (availability.kind === 'available') installPackages();
  await programs(say);
  return 0;
}

async function testOnNew(patterns: readonly string[]): Promise<number> {
  // A start waits most of its time. Where this fails, the tests fail with the words of the builder.
  const built = runToEnd([process.execPath, import.meta.filename, 'images'], { isShown: true });
  const cluster = await startCluster(say).finally(() => built);
  try {
    return await testOn(cluster, patterns);
  } finally {
    say('stopping');
    await cluster.stop();
  }
}

function testOn(cluster: Cluster, patterns: readonly string[]): Promise<number> {
  // The tests run in the network of the cluster, which has no way out.
  fetchNameServers();
  const prepared: Prepared = {
    kubeconfig: cluster.kubeconfig,
    kubectl: join(cluster.bin, 'kubectl'),
    helm: join(cluster.bin, 'helm'),
    image: load(cluster),
    olderTag: importInto(cluster, buildOlder()).tag,
    auditLog: cluster.auditLog,
    containerd: cluster.containerd,
    nodeAddress: cluster.nodeAddress,
  };
  return runTests(prepared, cluster.enter, patterns);
}

const buildOlder = () => withOlderSources((sources) => buildImage(say, sources));

function load(cluster: Cluster): Prepared['image'] {
  return importInto(cluster, buildImage(say));
}

function importInto(cluster: Cluster, { archive, ...image }: Image): Prepared['image'] {
  say('importing the image');
  cluster.importImage(archive, `${image.repository}:${image.tag}`);
  return image;
}

/** The image must be where that cluster finds it: MAILRELAY_IMAGE=repository:tag. */
function preparedGiven(kubeconfig: string): Prepared {
  const [repository, tag] = (process.env['MAILRELAY_IMAGE'] ?? '').split(/:(?=[^/:]+$)/);
  const nodeAddress = process.env['MAILRELAY_NODE_ADDRESS'];
  if (!repository || !tag || !nodeAddress) {
    throw new Error(
      'With MAILRELAY_KUBECONFIG set, MAILRELAY_IMAGE=repository:tag and MAILRELAY_NODE_ADDRESS (an address of this machine that pods reach) are needed',
    );
  }
  return {
    kubeconfig,
    kubectl: 'kubectl',
    helm: 'helm',
    image: { repository, tag },
    olderTag: '',
    auditLog: '',
    containerd: '',
    nodeAddress,
  };
}

/** The first files find no operator, which only one file may install at a time: they never run side by side. */
async function runTests(
  prepared: Prepared,
  enter: readonly string[],
  patterns: readonly string[],
): Promise<number> {
  const files = globSync(patterns.length > 0 ? [...patterns] : ['test/cluster/*.test.ts']).toSorted();
  const turns = Object.entries(Object.groupBy(files, (file) => basename(file).split('-', 1)[0] ?? ''));
  const interrupted = new AbortController();
  for (const signal of SIGNALS) process.once(signal, () => interrupted.abort());
  let worst = 0;
  for (const [index, [number, turn = []]] of turns.entries()) {
    if (interrupted.signal.aborted) return 1;
    const atOnce = index > 0 && number === SIDE_BY_SIDE.number ? SIDE_BY_SIDE.files : 1;
    const options = [`--test-concurrency=${atOnce}`, ...TEST_OPTIONS];
    const args = [...enter, process.execPath, '--test', ...options, ...turn];
    worst = Math.max(worst, await runTurn(prepared, args, interrupted.signal));
  }
  return worst;
}

function runTurn(
  prepared: Prepared,
  [program = '', ...args]: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const env = { ...process.env, MAILRELAY_CLUSTER: JSON.stringify(prepared) };
  const child = spawn(program, args, { stdio: 'inherit', env, signal });
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => resolve(code ?? 1));
    child.once('error', reject);
  });
}

function running(): Cluster {
  const cluster = keptCluster(KEPT);
  if (!cluster) throw new Error('No cluster is running: start one with "make cluster-up"');
  return cluster;
}

async function up(): Promise<void> {
  const cluster = keptCluster(KEPT) ?? (await startKeptCluster(say, KEPT));
  say(`running; logs are in ${cluster.dir}`);
  process.stdout.write(environment(cluster));
}

function environment({ outsideKubeconfig, bin, enter }: Cluster): string {
  return `export KUBECONFIG='${outsideKubeconfig}' PATH='${bin}':"$PATH"
# For what must reach pods and Services: ${enter.join(' ')} COMMAND
`;
}

function imageOptions(): ImageOptions {
  const { NODE_IMAGE, BASE, REVISION, PLATFORM } = process.env;
  return {
    images: { ...(NODE_IMAGE ? { NODE_IMAGE } : {}), ...(BASE ? { BASE } : {}) },
    ...(REVISION ? { revision: REVISION } : {}),
    ...(PLATFORM ? { platform: PLATFORM } : {}),
  };
}

async function main([verb = 'test', ...rest]: string[]): Promise<number> {
  switch (verb) {
    case 'build':
      return build();
    case 'up':
      await up();
      return 0;
    case 'env':
      process.stdout.write(environment(running()));
      return 0;
    case 'load': {
      const { repository, tag } = load(running());
      process.stdout.write(`${repository}:${tag}\n`);
      return 0;
    }
    case 'down':
      await stopKeptCluster(KEPT);
      return 0;
    case 'images':
      buildImage(say);
      buildOlder();
      return 0;
    case 'image':
      process.stdout.write(`${buildImage(say, undefined, imageOptions()).archive}\n`);
      return 0;
    case 'plugin': {
      const releases = process.env['RELEASES'] ?? 'https://releases.example.com';
      process.stdout.write(`${buildPlugin(say, releases)}\n`);
      return 0;
    }
    case 'test':
      return test(rest);
    default:
      process.stderr.write(USAGE);
      return 2;
  }
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`cluster: ${(error as Error).message}\n`);
  process.exit(1);
}
