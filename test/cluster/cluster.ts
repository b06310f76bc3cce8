/**
 * A real Kubernetes of one node in namespaces of its own: API server, controllers, scheduler, kubelet, kube-proxy,
 * etcd, containerd, DNS and cert-manager. Nothing leaves the machine. A start says what it waits for; one that fails
 * or is interrupted names the program and its last lines, and leaves nothing behind. A stop ends what was started, by
 * process id, and removes the namespaces, groups and folders that were made.
 */
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { NODE_ADDRESS, writeConfiguration, writeOutsideKubeconfig } from './configuration.ts';
import { importImage } from './containerd.ts';
import { auditLogOf, startControlPlane } from './controlplane.ts';
import { openDoorway } from './doorway.ts';
import { makeCgroups, makeNetwork, mountHolder, mountsReady } from './isolation.ts';
import { startCertManager, startNode, waitForNode } from './node.ts';
import { installPackages, onPath } from './packages.ts';
import { clear, clearStale, isKept, keep, type Place, placeOf, take } from './place.ts';
import { certManagerCrds, programs, type Say } from './programs.ts';
import { type Starting, waitFor } from './starting.ts';
import { command, Processes } from './supervise.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface Cluster {
  /** Logs, kubeconfigs and the audit log. */
  readonly dir: string;
  /** Valid inside the cluster's network. */
  readonly kubeconfig: string;
  /** Valid on the machine, through its loopback. */
  readonly outsideKubeconfig: string;
  readonly auditLog: string;
  /** The socket of containerd. */
  readonly containerd: string;
  /** An address of the cluster's network that pods reach. */
  readonly nodeAddress: string;
  /** Command that enters the cluster's network: what follows it reaches pods and Services, and nothing else. */
  readonly enter: readonly string[];
  /** Folder of kubectl and helm. */
  readonly bin: string;
  /** Runs a command inside the cluster's network. */
  exec(args: readonly string[], input?: string): string;
  kubectl(args: readonly string[], input?: string): string;
  helm(args: readonly string[]): string;
  importImage(archive: string, reference: string): void;
  stop(): Promise<void>;
}

export type Availability =
  | { readonly kind: 'available' }
  /** Somebody else's cluster is to be used. */
  | { readonly kind: 'given'; readonly kubeconfig: string }
  | { readonly kind: 'unavailable'; readonly reason: string };

export function clusterAvailability(): Availability {
  const kubeconfig = process.env['MAILRELAY_KUBECONFIG'];
  if (kubeconfig) return { kind: 'given', kubeconfig };
  const unavailable = (reason: string) => ({ kind: 'unavailable', reason }) as const;
  if (process.platform !== 'linux') return unavailable('the test cluster needs Linux');
  if (process.getuid?.() !== 0) return unavailable('the test cluster needs root (namespaces, containerd)');
  if (!onPath('go')) return unavailable('the test cluster is built with Go 1.26 or later: install it');
  return { kind: 'available' };
}

/** Starts a cluster that lives as long as this process, unless it is kept. */
export async function startCluster(say: Say, name = `test-${process.pid}`): Promise<Cluster> {
  installPackages();
  const built = await programs(say);
  const crds = await certManagerCrds();
  await clearStale();
  const place = placeOf(name);
  await take(place);
  const processes = new Processes(place.dir);
  const stop = stopOnce(place, processes);
  try {
    const starting = await isolate(place, processes, built, say);
    writeConfiguration(place);
    await startControlPlane(starting);
    await startNode(starting);
    await startCertManager(starting, crds);
    writeOutsideKubeconfig(place.dir, await openDoorway(starting));
    await waitForNode(starting);
    return clusterAt(place, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Starts a cluster that goes on when this process ends. */
export async function startKeptCluster(say: Say, name: string): Promise<Cluster> {
  const cluster = await startCluster(say, name);
  keep(placeOf(name));
  return cluster;
}

/** A cluster that was started before and kept, or undefined. */
export function keptCluster(name: string): Cluster | undefined {
  const place = placeOf(name);
  if (!isKept(place)) return undefined;
  const cluster = clusterAt(place, () => clear(place));
  try {
    return cluster.kubectl(['get', '--raw', '/readyz', '--request-timeout=5s']) === 'ok'
      ? cluster
      : undefined;
  } catch {
    return undefined;
  }
}

/** Ends and removes a cluster that was kept, whatever state it is in. */
export function stopKeptCluster(name: string): Promise<void> {
  return clear(placeOf(name));
}

/** Ends the cluster once: when asked to, when the process is told to end, or when it fails where nobody catches. */
function stopOnce(place: Place, processes: Processes): () => Promise<void> {
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= processes.stop().then(() => clear(place));
    return stopped;
  };
  const interrupted = () => void stop().finally(() => process.exit(1));
  const failed = (error: Error) => {
    process.stderr.write(`${error.stack}\n`);
    interrupted();
  };
  for (const signal of SIGNALS) process.once(signal, interrupted);
  process.once('uncaughtException', failed);
  return () => {
    for (const signal of SIGNALS) process.off(signal, interrupted);
    process.off('uncaughtException', failed);
    return stop();
  };
}

async function isolate(
  place: Place,
  processes: Processes,
  built: ReadonlyMap<string, string>,
  say: Say,
): Promise<Starting> {
  makeNetwork(place.netns, NODE_ADDRESS);
  makeCgroups(place.cgroup);
  linkPrograms(place, built);
  const enter = enterOf(place);
  const holder = processes.start('mounts', [...enter, ...mountHolder(place.dir)]);
  const enterAll = [...enter, `--mount=/proc/${holder}/ns/mnt`];
  const starting = { place, processes, programs: built, enter, enterAll, say };
  await waitFor(starting, 'the folders of its own', 'mounts', () => existsSync(mountsReady(place.dir)));
  return starting;
}

function enterOf({ netns }: Place): string[] {
  return ['nsenter', `--net=/run/netns/${netns}`];
}

/** The programs that people and tests call, under their usual names. */
function linkPrograms({ dir }: Place, built: ReadonlyMap<string, string>): void {
  mkdirSync(join(dir, 'bin'));
  for (const name of ['kubectl', 'helm']) symlinkSync(built.get(name) ?? name, join(dir, 'bin', name));
}

function clusterAt(place: Place, stop: () => Promise<void>): Cluster {
  const { dir, socket } = place;
  const [enter, bin, kubeconfig] = [enterOf(place), join(dir, 'bin'), join(dir, 'admin.kubeconfig')];
  const exec = (args: readonly string[], input?: string) => {
    const [first = '', ...rest] = enter;
    return command(first, [...rest, ...args], input);
  };
  return {
    dir,
    kubeconfig,
    outsideKubeconfig: join(dir, 'outside.kubeconfig'),
    auditLog: auditLogOf(dir),
    containerd: socket,
    nodeAddress: NODE_ADDRESS,
    enter,
    bin,
    exec,
    kubectl: (args, input) => exec([join(bin, 'kubectl'), '--kubeconfig', kubeconfig, ...args], input),
    helm: (args) => exec([join(bin, 'helm'), '--kubeconfig', kubeconfig, ...args]),
    importImage: (archive, reference) => importImage(place, archive, reference),
    stop,
  };
}
