/** The control plane of the test cluster: etcd, API server, controllers and scheduler, and the first objects. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FIRST_OBJECTS, NODE_ADDRESS, SERVICE_RANGE } from './configuration.ts';
import { volumesOf } from './isolation.ts';
import { kubectl, type Starting, startInside, waitFor } from './starting.ts';

export async function startControlPlane(starting: Starting): Promise<void> {
  startEtcd(starting);
  startApiServer(starting);
  await waitForApiServer(starting);
  startControllers(starting);
  kubectl(starting, ['apply', '--server-side', '-f', '-'], FIRST_OBJECTS);
}

export function waitForApiServer(starting: Starting): Promise<void> {
  return waitFor(
    starting,
    'the API server',
    'kube-apiserver',
    () => kubectl(starting, ['get', '--raw', '/readyz']) === 'ok',
  );
}

export function startEtcd(starting: Starting): void {
  startInside(starting, 'etcd', [
    `--data-dir=${join(starting.place.dir, 'etcd')}`,
    '--listen-client-urls=http://127.0.0.1:2379',
    '--advertise-client-urls=http://127.0.0.1:2379',
    '--listen-peer-urls=http://127.0.0.1:2380',
    '--unsafe-no-fsync',
  ]);
}

export function startApiServer(starting: Starting): void {
  const { dir } = starting.place;
  const pki = (file: string) => join(dir, 'pki', file);
  writeFileSync(join(dir, 'audit.yaml'), AUDIT_POLICY);
  startInside(starting, 'kube-apiserver', [
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
    `--audit-log-path=${auditLogOf(dir)}`,
    // In MiB: a log that begins anew would tell its readers nothing any more.
    '--audit-log-maxsize=100000',
    '--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement',
  ]);
}

function startControllers(starting: Starting): void {
  startControllerManager(starting, '*');
  openVolumes(starting);
  startInside(starting, 'kube-scheduler', [
    `--kubeconfig=${join(starting.place.dir, 'scheduler.kubeconfig')}`,
    '--leader-elect=false',
  ]);
}

export function startControllerManager(starting: Starting, controllers: string): void {
  const { dir } = starting.place;
  startInside(starting, 'kube-controller-manager', [
    `--controllers=${controllers}`,
    `--kubeconfig=${join(dir, 'controller-manager.kubeconfig')}`,
    `--service-account-private-key-file=${join(dir, 'pki', 'accounts.key')}`,
    `--root-ca-file=${join(dir, 'pki', 'ca.crt')}`,
    '--use-service-account-credentials=true',
    '--leader-elect=false',
    '--enable-hostpath-provisioner=true',
    '--allocate-node-cidrs=false',
    // A HorizontalPodAutoscaler acts at once, not after a quarter of a minute.
    '--horizontal-pod-autoscaler-sync-period=2s',
  ]);
}

/** Volumes of the host-path provisioner belong to root and ignore fsGroup, which real drivers honour. */
function openVolumes({ place, processes }: Starting): void {
  const volumes = volumesOf(place.dir);
  mkdirSync(volumes, { recursive: true });
  const loop = `cd '${volumes}' && while sleep 0.2; do chmod 0777 ./* 2>/dev/null; done`;
  processes.start('volume-modes', ['sh', '-c', loop]);
}

export function auditLogOf(dir: string): string {
  return join(dir, 'audit.log');
}

const AUDIT_POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
rules:
  - level: Metadata
    userGroups: ["system:serviceaccounts"]
  - level: None
`;
