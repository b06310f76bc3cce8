/** The node of the test cluster and what runs on it for everybody: containerd, kubelet, kube-proxy, DNS, cert-manager. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DNS_ADDRESS, NODE_ADDRESS, NODE_NAME } from './configuration.ts';
import { ctr, importPauseImage } from './containerd.ts';
import { kubectl, type Starting, startInside, waitFor } from './starting.ts';
import { command } from './supervise.ts';

export async function startNode(starting: Starting): Promise<void> {
  const { place, programs } = starting;
  startInside(starting, 'containerd', ['--config', join(place.dir, 'containerd.toml')]);
  startInside(starting, 'kube-proxy', [`--config=${join(place.dir, 'proxy.json')}`]);
  startInside(starting, 'coredns', ['-conf', join(place.dir, 'Corefile')]);
  await waitFor(
    starting,
    'containerd',
    'containerd',
    () => existsSync(place.socket) && ctr(place, ['version']) !== '',
  );
  importPauseImage(place, programs.get('pause') ?? '');
  startInside(starting, 'kubelet', [
    `--config=${join(place.dir, 'kubelet.json')}`,
    `--kubeconfig=${join(place.dir, 'kubelet.kubeconfig')}`,
    `--hostname-override=${NODE_NAME}`,
    `--node-ip=${NODE_ADDRESS}`,
    `--root-dir=${join(place.dir, 'kubelet')}`,
  ]);
}

export async function startCertManager(starting: Starting, crds: readonly string[]): Promise<void> {
  kubectl(starting, ['apply', '--server-side', ...crds.flatMap((file) => ['-f', file])]);
  await waitFor(
    starting,
    'the CRDs of cert-manager',
    'kube-apiserver',
    () => kubectl(starting, ['get', 'certificates,issuers,clusterissuers', '-A', '-o', 'name']) === '',
  );
  const kubeconfig = join(starting.place.dir, 'cert-manager.kubeconfig');
  startInside(starting, 'cert-manager', [`-kubeconfig=${kubeconfig}`]);
}

export async function waitForNode(starting: Starting): Promise<void> {
  const ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
  await waitFor(
    starting,
    'the node',
    'kubelet',
    () => kubectl(starting, ['get', 'node', NODE_NAME, '-o', ready]) === 'True',
  );
  const accounts = ['get', 'serviceaccount', 'default', '-n', 'default', '-o', 'name'];
  await waitFor(
    starting,
    'the first ServiceAccount',
    'kube-controller-manager',
    () => kubectl(starting, accounts) !== '',
  );
  await waitFor(starting, 'DNS behind a Service', 'coredns', () => resolves(starting));
}

function resolves({ enter }: Starting): boolean {
  const [first = '', ...rest] = enter;
  const question = ['busybox', 'nslookup', 'kubernetes.default.svc.cluster.local', DNS_ADDRESS];
  return command(first, [...rest, ...question]).includes('10.96.0.1');
}
