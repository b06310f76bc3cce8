/**
 * The files that the programs of the test cluster read: certificates of its own authority, kubeconfigs, and the
 * configuration of kubelet, kube-proxy, containerd, CNI and CoreDNS. Each setting that is not a default says why.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Place } from './place.ts';
import { command } from './supervise.ts';

export const NODE_NAME = 'node';
export const NODE_ADDRESS = '10.77.0.1';
export const DNS_ADDRESS = '10.96.0.10';
export const SERVICE_RANGE = '10.96.0.0/16';
const POD_RANGE = '10.78.0.0/16';
const API_SERVER = `https://${NODE_ADDRESS}:6443`;
export const PAUSE_IMAGE = 'mailrelay.test/pause:1';
const CLUSTER_DOMAIN = 'cluster.local';

/** Users that log in with client certificates: name -> (common name, group). */
const USERS: Readonly<Record<string, readonly [string, string]>> = {
  admin: ['admin', 'system:masters'],
  'controller-manager': ['system:kube-controller-manager', 'system:kube-controller-manager'],
  scheduler: ['system:kube-scheduler', 'system:kube-scheduler'],
  proxy: ['system:kube-proxy', 'system:node-proxier'],
  kubelet: [`system:node:${NODE_NAME}`, 'system:nodes'],
  'cert-manager': ['cert-manager', 'system:masters'],
  coredns: ['coredns', 'system:masters'],
};

export function writeConfiguration({ dir, cgroup, socket }: Place): void {
  for (const folder of ['pki', 'cni', 'containerd', 'kubelet', 'manifests'])
    mkdirSync(join(dir, folder), { recursive: true });
  writeKeys(join(dir, 'pki'));
  for (const user of Object.keys(USERS))
    write(join(dir, `${user}.kubeconfig`), kubeconfig(dir, user, API_SERVER));
  write(join(dir, 'kubelet.json'), kubeletConfiguration(dir, cgroup, socket));
  write(join(dir, 'proxy.json'), proxyConfiguration(dir));
  write(join(dir, 'cni', '10-pods.conflist'), cniConfiguration(dir));
  writeFileSync(join(dir, 'containerd.toml'), containerdConfiguration(dir, socket));
  writeFileSync(join(dir, 'Corefile'), corefile(dir));
  writeFileSync(join(dir, 'mail.test'), MAIL_ZONE);
}

/** For the machine, which sees the API server behind a port of its own loopback. */
export function writeOutsideKubeconfig(dir: string, port: number): string {
  const path = join(dir, 'outside.kubeconfig');
  write(path, kubeconfig(dir, 'admin', `https://127.0.0.1:${port}`));
  return path;
}

function write(path: string, value: unknown): void {
  writeFileSync(path, JSON.stringify(value, null, 2));
}

function writeKeys(pki: string): void {
  const openssl = (...args: string[]) => command('openssl', args);
  const key = (name: string) =>
    openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', join(pki, `${name}.key`));
  key('ca');
  openssl(
    'req',
    '-x509',
    '-new',
    '-key',
    join(pki, 'ca.key'),
    '-subj',
    '/CN=test cluster',
    '-days',
    '30',
    '-out',
    join(pki, 'ca.crt'),
  );
  const issue = (name: string, subject: string, extension: string) => {
    key(name);
    const [request, extensions] = [join(pki, `${name}.csr`), join(pki, `${name}.ext`)];
    writeFileSync(extensions, extension);
    openssl('req', '-new', '-key', join(pki, `${name}.key`), '-subj', subject, '-out', request);
    openssl(
      ...[
        'x509',
        '-req',
        '-in',
        request,
        '-CA',
        join(pki, 'ca.crt'),
        '-CAkey',
        join(pki, 'ca.key'),
        '-CAcreateserial',
      ],
      ...['-days', '30', '-extfile', extensions, '-out', join(pki, `${name}.crt`)],
    );
  };
  const names = [
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    `kubernetes.default.svc.${CLUSTER_DOMAIN}`,
    'localhost',
  ];
  const addresses = [NODE_ADDRESS, '10.96.0.1', '127.0.0.1'];
  const alternatives = [
    ...names.map((name) => `DNS:${name}`),
    ...addresses.map((address) => `IP:${address}`),
  ].join(',');
  issue(
    'apiserver',
    '/CN=kube-apiserver',
    `subjectAltName=${alternatives}\nextendedKeyUsage=serverAuth,clientAuth\n`,
  );
  for (const [user, [name, group]] of Object.entries(USERS))
    issue(user, `/O=${group}/CN=${name}`, 'extendedKeyUsage=clientAuth\n');
  openssl('genrsa', '-out', join(pki, 'accounts.key'), '2048');
}

function kubeconfig(dir: string, user: string, server: string) {
  const pki = join(dir, 'pki');
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority': join(pki, 'ca.crt') } }],
    users: [
      {
        name: user,
        user: { 'client-certificate': join(pki, `${user}.crt`), 'client-key': join(pki, `${user}.key`) },
      },
    ],
    contexts: [{ name: 'test', context: { cluster: 'test', user } }],
    'current-context': 'test',
  };
}

function kubeletConfiguration(dir: string, cgroup: string, containerdSocket: string) {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: NODE_ADDRESS,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: false },
      x509: { clientCAFile: join(dir, 'pki', 'ca.crt') },
    },
    authorization: { mode: 'AlwaysAllow' },
    cgroupDriver: 'cgroupfs',
    // A group that was made beforehand in every hierarchy: the machine's own groups are not ours to change.
    cgroupRoot: `/${cgroup}`,
    cgroupsPerQOS: true,
    enforceNodeAllocatable: [],
    failSwapOn: false,
    clusterDNS: [DNS_ADDRESS],
    clusterDomain: CLUSTER_DOMAIN,
    containerRuntimeEndpoint: `unix://${containerdSocket}`,
    configMapAndSecretChangeDetectionStrategy: 'Watch',
    evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
    imageGCHighThresholdPercent: 100,
    resolvConf: '/dev/null',
    serializeImagePulls: false,
    nodeStatusUpdateFrequency: '10s',
    readOnlyPort: 0,
  };
}

function proxyConfiguration(dir: string) {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    bindAddress: NODE_ADDRESS,
    clientConnection: { kubeconfig: join(dir, 'proxy.kubeconfig') },
    clusterCIDR: POD_RANGE,
    mode: 'iptables',
    hostnameOverride: NODE_NAME,
    // These sysctls are not writable in a network namespace.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    // A sync that fails is tried again only after the whole period.
    iptables: { minSyncPeriod: '0s', syncPeriod: '2s' },
  };
}

/** Point to point: every packet between pods is routed, so that Services work without a bridge's netfilter module. */
function cniConfiguration(dir: string) {
  return {
    cniVersion: '0.4.0',
    name: 'pods',
    plugins: [
      {
        type: 'ptp',
        ipMasq: false,
        ipam: {
          type: 'host-local',
          dataDir: join(dir, 'cni', 'addresses'),
          ranges: [[{ subnet: POD_RANGE }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}

function containerdConfiguration(dir: string, socket: string): string {
  return `version = 2
root = "${join(dir, 'containerd', 'root')}"
state = "${join(dir, 'containerd', 'state')}"

[grpc]
  address = "${socket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  # Without CAP_SYS_RESOURCE every pod fails when its score is lowered.
  restrict_oom_score_adj = true
  disable_apparmor = true

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${join(dir, 'cni')}"
`;
}

function corefile(dir: string): string {
  return `.:53 {
  errors
  kubernetes ${CLUSTER_DOMAIN} in-addr.arpa {
    kubeconfig ${join(dir, 'coredns.kubeconfig')}
    pods insecure
  }
  cache 5
}
mail.test:53 {
  errors
  file ${join(dir, 'mail.test')}
}
`;
}

/** A domain of the world, for what a name server may say of one: no mail, and mail to ourselves. */
const MAIL_ZONE = `@ 60 IN SOA ns hostmaster 1 60 60 60 60
@ 60 IN NS ns
null 60 IN MX 0 .
own 60 IN MX 10 relay.example.com.
`;

/** Objects that a cluster has before anybody uses it: DNS as a Service of the node, and a default StorageClass. */
export const FIRST_OBJECTS = `
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: ${DNS_ADDRESS}
  ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kube-dns, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
endpoints: [{addresses: [${NODE_ADDRESS}]}]
ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/host-path
allowVolumeExpansion: true
---
apiVersion: v1
kind: Namespace
metadata: {name: cert-manager}
`;
