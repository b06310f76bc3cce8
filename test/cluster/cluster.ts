/**
 * A real Kubernetes of one node in a network namespace of its own: API server, controllers, scheduler, kubelet,
 * kube-proxy, etcd, containerd, DNS and cert-manager. Nothing leaves the machine. `up` starts it and says what it waits
 * for; `down` ends what it started, by process id, and removes the namespace, mounts, groups and folders it made. A
 * start that fails names the program and its last lines, and leaves nothing behind.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  FIRST_OBJECTS,
  NODE_ADDRESS,
  NODE_NAME,
  SERVICE_RANGE,
  writeConfiguration,
} from './configuration.ts';
import { certManagerCrds, programs, type Say } from './programs.ts';
import { command, endRecorded, Processes } from './supervise.ts';

const PACKAGES: Readonly<Record<string, string>> = {
  containerd: 'containerd',
  runc: 'runc',
  '/usr/lib/cni/ptp': 'containernetworking-plugins',
  iptables: 'iptables',
  conntrack: 'conntrack',
  ethtool: 'ethtool',
  socat: 'socat',
  buildah: 'buildah',
  ip: 'iproute2',
  openssl: 'openssl',
  busybox: 'busybox-static',
};

const CGROUPS = '/sys/fs/cgroup';
const WAIT_MS = 120_000;
/** Where the host-path provisioner makes volumes; it knows no other place. */
const PROVISIONED = '/tmp/hostpath_pv';

export interface Cluster {
  /** Folder of logs, kubeconfigs and the audit log. */
  readonly dir: string;
  readonly kubeconfig: string;
  /** Command that enters the network namespace. */
  readonly enter: readonly string[];
  readonly programs: ReadonlyMap<string, string>;
  importImage(archive: string): void;
  stop(): Promise<void>;
}

/** Why there can be no cluster here, or undefined. */
export function clusterProblem(): string | undefined {
  if (process.platform !== 'linux') return 'the test cluster needs Linux';
  if (process.getuid?.() !== 0) return 'the test cluster needs root (namespaces, containerd)';
  if (!onPath('go')) return 'the test cluster is built with Go 1.26 or later: install it';
  return undefined;
}

export async function startCluster(name: string, say: Say): Promise<Cluster> {
  installPackages(say);
  const built = await programs(say);
  const crds = await certManagerCrds();
  const dir = join(tmpdir(), `mailrelay-cluster-${name}`);
  await clear(dir, name);
  mkdirSync(dir, { recursive: true });
  const enter = ['nsenter', `--net=/run/netns/${netns(name)}`];
  const processes = new Processes(dir, enter);
  const stop = async () => {
    await processes.stop();
    await clear(dir, name);
  };
  try {
    makeNetwork(name);
    makeCgroups(cgroup(name));
    const socket = join(dir, 'containerd.sock');
    writeConfiguration({ dir, cgroup: cgroup(name), containerdSocket: socket });
    const cluster = { dir, name, enter, processes, built, socket, say };
    await startControlPlane(cluster);
    await startNode(cluster, crds);
    return {
      dir,
      kubeconfig: join(dir, 'admin.kubeconfig'),
      enter,
      programs: built,
      importImage: (archive) => importImage(socket, archive),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Ends and removes a cluster that was left running. */
export function stopCluster(name: string): Promise<void> {
  return clear(join(tmpdir(), `mailrelay-cluster-${name}`), name);
}

interface Starting {
  readonly dir: string;
  readonly name: string;
  readonly enter: readonly string[];
  readonly processes: Processes;
  readonly built: ReadonlyMap<string, string>;
  readonly socket: string;
  readonly say: Say;
}

async function startControlPlane({ dir, enter, processes, built, say }: Starting): Promise<void> {
  const pki = (file: string) => join(dir, 'pki', file);
  const program = (name: string) => built.get(name) ?? name;
  processes.start('etcd', program('etcd'), [
    `--data-dir=${join(dir, 'etcd')}`,
    '--listen-client-urls=http://127.0.0.1:2379',
    '--advertise-client-urls=http://127.0.0.1:2379',
    '--listen-peer-urls=http://127.0.0.1:2380',
    '--unsafe-no-fsync',
  ]);
  writeFileSync(join(dir, 'audit.yaml'), AUDIT_POLICY);
  processes.start('kube-apiserver', program('kube-apiserver'), [
    '--etcd-servers=http://127.0.0.1:2379',
    `--service-cluster-ip-range=${SERVICE_RANGE}`,
    '--authorization-mode=Node,RBAC',
    '--allow-privileged=true',
    `--advertise-address=${NODE_ADDRESS}`,
    `--client-ca-file=${pki('ca.crt')}`,
    `--tls-cert-file=${pki('apiserver.crt')}`,
    `--tls-private-key-file=${pki('apiserver.key')}`,
    `--kubelet-client-certificate=${pki('apiserver.crt')}`,
    `--kubelet-client-key=${pki('apiserver.key')}`,
    // Otherwise logs and exec would look the name of the node up in DNS.
    '--kubelet-preferred-address-types=InternalIP',
    `--service-account-key-file=${pki('accounts.key')}`,
    `--service-account-signing-key-file=${pki('accounts.key')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--audit-policy-file=${join(dir, 'audit.yaml')}`,
    `--audit-log-path=${join(dir, 'audit.log')}`,
    '--enable-admission-plugins=NodeRestriction',
  ]);
  const kubectl = kubectlOf(dir, enter, built);
  await until(
    'the API server',
    say,
    processes,
    'kube-apiserver',
    () => kubectl(['get', '--raw', '/readyz']) === 'ok',
  );
  processes.start('kube-controller-manager', program('kube-controller-manager'), [
    `--kubeconfig=${join(dir, 'controller-manager.kubeconfig')}`,
    `--service-account-private-key-file=${pki('accounts.key')}`,
    `--root-ca-file=${pki('ca.crt')}`,
    '--use-service-account-credentials=true',
    '--leader-elect=false',
    '--enable-hostpath-provisioner=true',
    '--allocate-node-cidrs=false',
  ]);
  // Volumes of this provisioner belong to root and ignore fsGroup, which real drivers honour.
  processes.start('volume-modes', 'sh', [
    '-c',
    `while sleep 0.2; do chmod 0777 ${PROVISIONED}/* 2>/dev/null; done; true`,
  ]);
  processes.start('kube-scheduler', program('kube-scheduler'), [
    `--kubeconfig=${join(dir, 'scheduler.kubeconfig')}`,
    '--leader-elect=false',
  ]);
  kubectl(['apply', '--server-side', '-f', '-'], FIRST_OBJECTS);
}

async function startNode(
  { dir, enter, processes, built, socket, say }: Starting,
  crds: string[],
): Promise<void> {
  const program = (name: string) => built.get(name) ?? name;
  const kubectl = kubectlOf(dir, enter, built);
  processes.start('containerd', 'containerd', ['--config', join(dir, 'containerd.toml')]);
  await until(
    'containerd',
    say,
    processes,
    'containerd',
    () => existsSync(socket) && ctr(socket, ['version']) !== '',
  );
  importImage(socket, pauseImage(dir, program('pause')));
  processes.start('kubelet', program('kubelet'), [
    `--config=${join(dir, 'kubelet.json')}`,
    `--kubeconfig=${join(dir, 'kubelet.kubeconfig')}`,
    `--hostname-override=${NODE_NAME}`,
    `--node-ip=${NODE_ADDRESS}`,
    `--root-dir=${join(dir, 'kubelet')}`,
  ]);
  processes.start('kube-proxy', program('kube-proxy'), [`--config=${join(dir, 'proxy.json')}`]);
  processes.start('coredns', program('coredns'), ['-conf', join(dir, 'Corefile')]);
  kubectl(['apply', '--server-side', ...crds.flatMap((file) => ['-f', file])]);
  await until(
    'the CRDs of cert-manager',
    say,
    processes,
    'kube-apiserver',
    () => kubectl(['get', 'certificates,issuers,clusterissuers', '-A', '-o', 'name']) === '',
  );
  processes.start('cert-manager', program('cert-manager'), [
    `-kubeconfig=${join(dir, 'cert-manager.kubeconfig')}`,
  ]);
  await until(
    'the node',
    say,
    processes,
    'kubelet',
    () =>
      kubectl([
        'get',
        'node',
        NODE_NAME,
        '-o',
        "jsonpath={.status.conditions[?(@.type=='Ready')].status}",
      ]) === 'True',
  );
}

/** kubectl inside the namespace; throws with its message. */
function kubectlOf(dir: string, enter: readonly string[], built: ReadonlyMap<string, string>) {
  const [first = '', ...rest] = enter;
  const kubectl = built.get('kubectl') ?? 'kubectl';
  return (args: readonly string[], input?: string): string =>
    command(first, [...rest, kubectl, '--kubeconfig', join(dir, 'admin.kubeconfig'), ...args], input);
}

async function until(
  what: string,
  say: Say,
  processes: Processes,
  name: string,
  done: () => boolean,
): Promise<void> {
  say(`waiting for ${what}`);
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    try {
      if (done()) return;
    } catch {
      // Not answering yet is what is waited for.
    }
    if (Date.now() > deadline) throw new Error(`Gave up on ${what}: ${processes.tail(name)}`);
    await new Promise((tick) => setTimeout(tick, 300));
  }
}

const netns = (name: string) => `mailrelay-${name}`;
const cgroup = (name: string) => `mailrelay-${name}`;

function makeNetwork(name: string): void {
  const space = netns(name);
  const ip = (...args: string[]) => command('ip', args);
  ip('netns', 'add', space);
  ip('-n', space, 'link', 'set', 'lo', 'up');
  // A bridge without members stands for the node's network card; the dummy driver is not in every kernel.
  ip('-n', space, 'link', 'add', 'node0', 'type', 'bridge');
  ip('-n', space, 'addr', 'add', `${NODE_ADDRESS}/24`, 'dev', 'node0');
  ip('-n', space, 'link', 'set', 'node0', 'up');
  ip('-n', space, 'route', 'add', 'default', 'dev', 'node0');
  command('nsenter', [`--net=/run/netns/${space}`, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
}

/** With cgroup v1 every hierarchy needs the group; with v2 the kubelet makes it. */
function hierarchies(): string[] {
  if (existsSync(join(CGROUPS, 'cgroup.controllers'))) return [CGROUPS];
  return readdirSync(CGROUPS)
    .map((hierarchy) => join(CGROUPS, hierarchy))
    .filter((path) => existsSync(join(path, 'cgroup.procs')));
}

function makeCgroups(group: string): void {
  for (const hierarchy of hierarchies()) {
    mkdirSync(join(hierarchy, group), { recursive: true });
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      const own = join(hierarchy, group, file);
      if (existsSync(own) && !hierarchy.endsWith('unified'))
        writeFileSync(own, readFileSync(join(hierarchy, file), 'utf8'));
    }
  }
}

function importImage(socket: string, archive: string): void {
  ctr(socket, ['-n', 'k8s.io', 'images', 'import', archive]);
}

function ctr(socket: string, args: readonly string[]): string {
  return command('ctr', ['--address', socket, ...args]);
}

function pauseImage(dir: string, program: string): string {
  const archive = join(dir, 'pause.tar');
  const container = command('buildah', ['from', 'scratch']).trim();
  command('buildah', ['copy', container, program, '/pause']);
  command('buildah', ['config', '--entrypoint', '["/pause"]', container]);
  command('buildah', [
    'commit',
    '--quiet',
    '--rm',
    container,
    `docker-archive:${archive}:mailrelay.test/pause:1`,
  ]);
  return archive;
}

/** Ends and removes what a cluster of this name left, its containers included. */
async function clear(dir: string, name: string): Promise<void> {
  await endRecorded(dir);
  await endContainers(cgroup(name));
  for (const mount of mountsBelow(dir)) command('umount', ['--lazy', mount]);
  if (existsSync(`/run/netns/${netns(name)}`)) command('ip', ['netns', 'delete', netns(name)]);
  for (const hierarchy of hierarchies()) removeGroups(join(hierarchy, cgroup(name)));
  rmSync(dir, { recursive: true, force: true });
  rmSync(PROVISIONED, { recursive: true, force: true });
}

/** Shims and containers are not our children: they are the processes in the groups that we made, or below our folder. */
async function endContainers(group: string): Promise<void> {
  const pids = new Set(hierarchies().flatMap((hierarchy) => pidsBelow(join(hierarchy, group))));
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    if (commandLineOf(pid).includes(`containerd-shim`) && commandLineOf(pid).includes(`mailrelay-cluster-`))
      pids.add(pid);
  }
  for (const pid of pids) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }
  const deadline = Date.now() + 5_000;
  const alive = () => hierarchies().some((hierarchy) => pidsBelow(join(hierarchy, group)).length > 0);
  while (alive() && Date.now() < deadline) await new Promise((tick) => setTimeout(tick, 50));
}

function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

function pidsBelow(dir: string): string[] {
  return foldersBelow(dir).flatMap((folder) => {
    try {
      return readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean);
    } catch {
      return [];
    }
  });
}

function foldersBelow(dir: string): string[] {
  if (!existsSync(dir)) return [];
  const inner = readdirSync(dir).filter((entry) =>
    statSync(join(dir, entry), { throwIfNoEntry: false })?.isDirectory(),
  );
  return [...inner.flatMap((entry) => foldersBelow(join(dir, entry))), dir];
}

function removeGroups(dir: string): void {
  for (const folder of foldersBelow(dir)) {
    try {
      rmdirSync(folder);
    } catch {
      // A process that is still ending holds it; the next start removes it.
    }
  }
}

function mountsBelow(dir: string): string[] {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '');
  return mounts.filter((path) => path.startsWith(`${dir}/`)).toReversed();
}

function installPackages(say: Say): void {
  const missing = Object.entries(PACKAGES)
    .filter(([program]) => !onPath(program))
    .map(([, name]) => name);
  if (missing.length === 0) return;
  say(`installing ${missing.join(' ')}`);
  command('apt-get', ['update', '-qq']);
  command('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing]);
}

function onPath(program: string): boolean {
  if (program.startsWith('/')) return existsSync(program);
  const folders = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`.split(':');
  return folders.some((folder) => existsSync(join(folder, program)));
}

const AUDIT_POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    userGroups: ["system:serviceaccounts"]
  - level: None
`;

export { NODE_ADDRESS };
