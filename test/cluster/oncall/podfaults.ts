/** Faults of pods, of volumes and of what Kubernetes makes for a relay. */
import { DatabaseSync } from 'node:sqlite';
import { managedLabels, objectNames } from '#operator/render/metadata.ts';
import { until } from '#test/kit/wait.ts';
import { volumesOf } from '../isolation.ts';
import type { Fault } from './fault.ts';
import { INBOUND, kubectl, type Site } from './site.ts';

const EMPTY = { queue: { storage: { size: '1Gi' } } };
const claim = (site: Site) => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: `spool-${site.name}-0`, labels: managedLabels(site.name) },
  spec: {
    accessModes: ['ReadWriteOnce'],
    resources: { requests: { storage: '1Gi' } },
  },
});

const FIXED_CLASS = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: 'fixed' },
  provisioner: 'kubernetes.io/host-path',
};
const PRIORITY_CLASS = {
  apiVersion: 'scheduling.k8s.io/v1',
  kind: 'PriorityClass',
  metadata: { name: 'one-pod' },
  value: 1,
};
/** Of the pods of one relay. */
const quota = (pods: string) => ({
  apiVersion: 'v1',
  kind: 'ResourceQuota',
  metadata: { name: 'one-pod' },
  spec: {
    hard: { pods },
    scopeSelector: {
      matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In', values: ['one-pod'] }],
    },
  },
});
const COUNTED_POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'counted' },
  spec: {
    priorityClassName: 'one-pod',
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        name: 'counted',
        image: 'none',
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      },
    ],
  },
};

/** The API server heeds a quota some time after it was made. Until then it takes any number of pods. */
async function plantQuota(site: Site): Promise<void> {
  const answers = async (words: string) => {
    const args = ['create', '-n', site.namespace, '--dry-run=server', '-f', '-'];
    const answer = await kubectl(args, JSON.stringify(COUNTED_POD)).catch(({ message }: Error) => message);
    if (!answer.includes(words)) throw new Error(answer);
    return true;
  };
  await site.apply(PRIORITY_CLASS, quota('0'));
  await until('the quota to refuse a pod', () => answers('exceeded quota'), 120_000);
  await site.apply(quota('1'));
  await until('the quota to take one pod', () => answers('created'), 120_000);
}

const finalize = (site: Site, finalizers: readonly string[]) =>
  site.kubectl(
    ...['patch', 'configmap', objectNames.policy(site.name), '--type=merge'],
    ...['-p', JSON.stringify({ metadata: { finalizers } })],
  );

let lock: DatabaseSync | undefined;

/** Another relay has the volume: its lock is one of the kernel. */
async function lockVolume(site: Site): Promise<void> {
  await site.apply(claim(site));
  const volume = await until('the volume', () =>
    site.kubectl('get', 'pvc', `spool-${site.name}-0`, '-o', 'jsonpath={.spec.volumeName}'),
  );
  const path = await kubectl(['get', 'pv', volume, '-o', 'jsonpath={.spec.hostPath.path}']);
  const folder = path.slice(path.lastIndexOf('/') + 1);
  lock = new DatabaseSync(`${volumesOf(site.dir)}/${folder}/owner.lock`);
  lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
}

export const POD_FAULTS: readonly Fault[] = [
  {
    name: 'image',
    what: 'The image of a pod cannot be pulled',
    isQuick: true,
    plant: (site) => site.kubectl('set', 'image', `pod/${site.pod}`, 'relay=nowhere.example/relay:9'),
    row: /0\/1 +PodsNotReady +Ready,Stalled/,
    command: 'wide',
    shows: /0 of 1 pod is ready; pod image-0: (ErrImagePull|ImagePullBackOff): .*\(correct the image[^)]*\)/,
  },
  {
    name: 'no-node',
    what: 'No node fits the pod',
    isQuick: true,
    spec: { pod: { nodeSelector: { disk: 'none' } } },
    row: /0\/1 +PodsNotReady +Ready/,
    command: 'wide',
    shows: /pod no-node-0: Unschedulable: .*\(make room, bring nodes back, or change what spec.pod[^)]*\)/,
  },
  {
    name: 'no-class',
    what: 'The StorageClass of the volume does not exist',
    isQuick: true,
    spec: { queue: { storage: { className: 'nowhere' } } },
    row: /0\/1 +PodsNotReady +Ready,Stalled/,
    command: 'wide',
    shows:
      /PersistentVolumeClaim\/spool-no-class-0: ProvisioningFailed: .*"nowhere" not found: create that StorageClass, or make a second MailRelay with another queue.storage.className/,
  },
  {
    name: 'quota',
    what: 'A quota allows no more pods',
    isQuick: true,
    spec: { replicas: 2, pod: { priorityClassName: 'one-pod' } },
    prepare: plantQuota,
    row: /1\/2 +PodsNotReady +Ready,Stalled/,
    command: 'wide',
    shows: /StatefulSet\/quota: FailedCreate: .*exceeded quota.*: raise the quota of the namespace/,
  },
  {
    name: 'state-in-use',
    what: 'A pod crashes: another relay has its volume',
    isQuick: true,
    prepare: lockVolume,
    heal: () => lock?.close(),
    row: /0\/1 +PodsNotReady +Ready,Stalled/,
    command: 'wide',
    shows:
      /CrashLoopBackOff: it ended with status 1: mailrelay: Another relay uses the state folder .*: stop it, or choose another folder/,
  },
  {
    name: 'memory',
    what: 'A pod needs more memory than its limit',
    spec: {
      pod: {
        resources: { requests: { cpu: '50m', memory: '24Mi' }, limits: { memory: '24Mi' } },
      },
    },
    row: /0\/1 +PodsNotReady +Ready,Stalled/,
    command: 'wide',
    shows: /pod memory-0: .*OOMKilled.*\(raise pod.resources.limits.memory\)/,
  },
  {
    name: 'rollout',
    what: 'A rollout stops: its first new pod fits no node',
    spec: { replicas: 2 },
    plant: (site) => site.edit({ pod: { nodeSelector: { disk: 'none' } } }),
    row: /1\/2 +PodsNotReady +Ready/,
    command: 'wide',
    shows: /1 of 2 pods are ready; pod rollout-1: Unschedulable: .*\(make room[^)]*\)/,
  },
  {
    name: 'shrink',
    what: 'queue.storage.size is made smaller',
    isQuick: true,
    spec: EMPTY,
    plant: (site) => site.edit({ queue: { storage: { size: '100Mi' } } }),
    row: /1\/1 +StorageCannotShrink +Ready,Stalled/,
    command: 'wide',
    shows: /queue.storage.size 100Mi is less than the 1Gi of .*cannot shrink: set 1Gi or more/,
  },
  {
    name: 'grow',
    what: 'queue.storage.size is made larger on a class that cannot expand',
    spec: { queue: { storage: { size: '1Gi', className: 'fixed' } } },
    prepare: (site) => site.apply(FIXED_CLASS),
    plant: (site) => site.edit({ queue: { storage: { size: '2Gi', className: 'fixed' } } }),
    row: /1\/1 +Denied +Ready,Stalled/,
    command: 'wide',
    shows:
      /The API server refuses StatefulSet\/grow: .*must support resize: set queue.storage.size back, or allowVolumeExpansion: true.*/,
  },
  {
    name: 'scale-in',
    what: 'A pod cannot leave: its queue cannot be emptied',
    hop: 'away',
    plant: async (site) => {
      await site.send();
      await site.edit({ replicas: 0 });
    },
    row: /0\/0 +ScaledToZero +Reconciling/,
    command: 'wide',
    shows:
      /Pod scale-in-0 stays until its queue is empty: .*: see why its mail waits, or raise replicas again/,
  },
  {
    name: 'anew',
    what: 'An object of the relay is held by a finalizer while it is made anew',
    plant: async (site) => {
      await finalize(site, ['test.example/held']);
      await site.kubectl('delete', 'configmap', objectNames.policy(site.name), '--wait=false');
    },
    heal: (site) => finalize(site, []),
    row: /1\/1 +Serving/,
    command: 'wide',
    shows: /Made anew as soon as it goes: ConfigMap\/anew-policy; where it does not, look for finalizers/,
  },
  {
    name: 'unreachable',
    what: 'The operator cannot reach port 9090 of a pod',
    plant: async (site) => {
      await site.cut('FORWARD', 'tcp', 9090, '-d');
      await site.edit({ inbound: { ...INBOUND, limits: { recipients: 10 } } });
    },
    row: /1\/1 +\w+ +.*PolicyApplied/,
    command: 'wide',
    shows: /the operator gets no answer from unreachable-0, which is ready: let the operator reach port 9090/,
  },
];
