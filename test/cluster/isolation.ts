/**
 * What keeps a cluster apart from the machine and from other clusters: a network namespace without a way out, a mount
 * namespace in which the folders that the programs insist on are the cluster's own, and a control group. All of it is
 * removed again, with the containers in it.
 */
import {
  type Dirent,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { command, readIfThere } from './supervise.ts';

const CGROUPS = '/sys/fs/cgroup';
const CONTAINERS_END_MS = 5_000;

/**
 * Folders that cannot be configured away: pods' network namespaces, sockets of the shims, results of CNI, sockets of
 * device plugins, container logs, and the volumes of the host-path provisioner.
 */
const COVERED = [
  '/run/netns',
  '/run/containerd',
  '/var/lib/cni',
  '/var/lib/kubelet',
  '/var/log/pods',
  '/var/log/containers',
  '/tmp/hostpath_pv',
];

export function makeNetwork(netns: string, address: string): void {
  const ip = (...args: string[]) => command('ip', args);
  ip('netns', 'add', netns);
  ip('-n', netns, 'link', 'set', 'lo', 'up');
  // A bridge without members stands for the node's network card; the dummy driver is not in every kernel.
  ip('-n', netns, 'link', 'add', 'node0', 'type', 'bridge');
  ip('-n', netns, 'addr', 'add', `${address}/24`, 'dev', 'node0');
  ip('-n', netns, 'link', 'set', 'node0', 'up');
  ip('-n', netns, 'route', 'add', 'default', 'dev', 'node0');
  command('nsenter', [`--net=/run/netns/${netns}`, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
}

/** Another run may remove what a lost one left at the same time. */
export function removeNetwork(netns: string): void {
  const isThere = () => existsSync(`/run/netns/${netns}`);
  if (!isThere()) return;
  try {
    command('ip', ['netns', 'delete', netns]);
  } catch (error) {
    if (isThere()) throw error;
  }
}

/** Where the provisioner's volumes really are. */
export function volumesOf(dir: string): string {
  return ownFolder(dir, '/tmp/hostpath_pv');
}

/**
 * The command that makes a mount namespace and holds it while it runs; its mounts go with its last process. Ends when
 * a mount fails.
 */
export function mountHolder(dir: string): string[] {
  for (const path of COVERED) {
    mkdirSync(path, { recursive: true });
    mkdirSync(ownFolder(dir, path), { recursive: true });
  }
  const mounts = COVERED.map((path) => `mount --bind '${ownFolder(dir, path)}' ${path}`);
  const ready = `touch '${mountsReady(dir)}'`;
  return [
    ...['unshare', '--mount', '--propagation', 'private'],
    ...['sh', '-ec', [...mounts, ready, 'exec sleep infinity'].join('\n')],
  ];
}

/** A file that is there once all is mounted. */
export function mountsReady(dir: string): string {
  return join(dir, 'mounted');
}

function ownFolder(dir: string, path: string): string {
  return join(dir, 'own', path.slice(1).replaceAll('/', '-'));
}

/** With cgroup v1 every hierarchy needs the group. */
function hierarchies(): string[] {
  if (existsSync(join(CGROUPS, 'cgroup.controllers'))) return [CGROUPS];
  return readdirSync(CGROUPS)
    .map((hierarchy) => join(CGROUPS, hierarchy))
    .filter((path) => existsSync(join(path, 'cgroup.procs')));
}

export function makeCgroups(group: string): void {
  for (const hierarchy of hierarchies()) {
    mkdirSync(join(hierarchy, group), { recursive: true });
    // With v1 a new group of the cpuset hierarchy is empty, and takes no process before it is filled.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      const [own, whole] = [join(hierarchy, group, file), join(hierarchy, file)];
      if (existsSync(own) && existsSync(whole)) writeFileSync(own, readFileSync(whole, 'utf8'));
    }
  }
}

export function removeCgroups(group: string): void {
  for (const folder of hierarchies().flatMap((hierarchy) => foldersBelow(join(hierarchy, group)))) {
    try {
      rmdirSync(folder);
    } catch {
      // A process that is still ending holds it; the next cluster of this name removes it.
    }
  }
}

/** Shims and containers are nobody's children: they are known by the cluster's folder, and by its control group. */
export async function endContainers(group: string, dir: string): Promise<void> {
  const inGroup = () => hierarchies().flatMap((hierarchy) => pidsBelow(join(hierarchy, group)));
  for (const pid of new Set([...shimsOf(dir), ...inGroup()])) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }
  const deadline = Date.now() + CONTAINERS_END_MS;
  while (inGroup().length + shimsOf(dir).length > 0 && Date.now() < deadline)
    await new Promise((tick) => setTimeout(tick, 50));
}

function shimsOf(dir: string): string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      const line = readIfThere(`/proc/${pid}/cmdline`);
      return line.includes('containerd-shim') && line.includes(`${dir}/`);
    });
}

function pidsBelow(dir: string): string[] {
  return foldersBelow(dir).flatMap((folder) =>
    readIfThere(join(folder, 'cgroup.procs')).split('\n').filter(Boolean),
  );
}

/** The folder and all below it, the innermost first. */
function foldersBelow(dir: string): string[] {
  let inside: Dirent[];
  try {
    inside = readdirSync(dir, { withFileTypes: true });
  } catch {
    return [];
  }
  const folders = inside.filter((entry) => entry.isDirectory());
  return [...folders.flatMap(({ name }) => foldersBelow(join(dir, name))), dir];
}
