/**
 * The cure for a refusal of the API server, or for a warning of a controller of Kubernetes, by its words. Pure.
 */

/** Only where the cluster itself says that the node is away. A volume of a node that runs must not be taken from it. */
export const NODE_CURE = 'bring the node back, or delete it if it is gone for good';
/** Where the node may be away, or only slow. */
export const CHECK_NODE_CURE = `if "kubectl get node" shows the node as NotReady, ${NODE_CURE}`;

const RESOURCES = 'pod.resources (those of the resolver are in outbound.resolver.sidecar)';

/** Not the words that a provisioner puts behind the name of a class that is there. */
export const NO_CLASS = /storageclass(es)?\S* "[^"]*" not found/i;

/** The first entry whose words are in the message counts. */
const KUBE_CURES: readonly (readonly [words: RegExp, cure: string])[] = [
  [
    /^(container \S+: )?\w+ probe (failed|errored)/,
    'see the log of that container, and whether the node reaches the port of the probe',
  ],
  [
    /persistentvolumeclaim.*resize/i,
    'set queue.storage.size back, or allowVolumeExpansion: true in the StorageClass',
  ],
  [/immutable when `immutable` is set/i, 'delete it, and the operator makes it again'],
  [/field not declared in schema/i, 'remove that field, or bring the CRD of this kind up to date'],
  [
    /may not change once set/i,
    'set that field back, or delete the object, and the operator makes it again (a Service may get other addresses)',
  ],
  [
    /namespace \S+ because it is being terminated/i,
    'the namespace is being deleted, and this MailRelay with it; if it stays, see the conditions in its status',
  ],
  [/exceeded quota/i, 'raise the quota of the namespace'],
  [
    /failed quota: .*must specify/i,
    `set these in ${RESOURCES}, or give the namespace a LimitRange with defaults`,
  ],
  [
    /must be less than or equal to \w+ limit/i,
    `set limits in ${RESOURCES}, or change the LimitRange of the namespace`,
  ],
  [/usage per PersistentVolumeClaim/i, 'change queue.storage.size, or the LimitRange of the namespace'],
  [
    /usage per (Container|Pod)|limit to request ratio/i,
    `change ${RESOURCES}, or the LimitRange of the namespace`,
  ],
  [
    /security context constraint/i,
    'set pod.userIDs: Assigned, or openshift: true in the chart of the operator, or allow the account of the pods what it names',
  ],
  [NO_CLASS, 'create that StorageClass, or make a second MailRelay with another queue.storage.className'],
  [
    /no storage class is set/i,
    'make a StorageClass the default, or make a second MailRelay with queue.storage.className',
  ],
  [
    /bound to non-existent (persistentvolume|pv)/i,
    'its volume is gone, and its mail with it: restore the PersistentVolume, or delete the claim and then the pod, so that both are made anew',
  ],
  [
    /persistentvolumeclaim "[^"]*" is being deleted/i,
    'wait until that claim is gone; if it stays, look for its finalizers',
  ],
  [
    /unbound immediate PersistentVolumeClaims|^running PreBind plugin "VolumeBinding"/i,
    'mend the StorageClass or its provisioner',
  ],
  [/\.nodePort: Invalid value/, 'set another nodePort for that listener, or remove the field'],
  [/external provisioner/i, 'see whether that provisioner runs'],
  [
    /Multi-Attach error/i,
    `the volume is attached to another node until its pod there has ended; ${CHECK_NODE_CURE}`,
  ],
  [/pod sandbox/i, 'mend the network plugin or the runtime of the node'],
  [/(secret|configmap) .*not found/i, 'create it'],
  [
    /failed to sync (secret|configmap) cache/i,
    'the kubelet tries again by itself; if it goes on, see whether the node reaches the API server',
  ],
  [/AttachVolume|MountVolume|attach or mount volumes/i, 'mend the volume, or its driver on the node'],
  [/^Node is not ready/i, NODE_CURE],
  [/provision volume/i, 'mend the StorageClass or its provisioner'],
  [/no PriorityClass/i, 'create that PriorityClass, or correct pod.priorityClassName'],
  [/serviceaccount .*not found/i, 'create that ServiceAccount again'],
  [/no answer in time/i, 'see which admission webhook is slow, and mend it or remove its configuration'],
  [/failed calling webhook/i, 'mend that webhook, or remove its configuration'],
  [
    /admission webhook|ValidatingAdmissionPolicy|PodSecurity/i,
    'change what the policy refuses, or the policy',
  ],
  [/definition is terminating/i, 'wait until that CRD is gone, and install it again'],
  [/takes back what was written/i, 'have the webhook or policy that does so leave it'],
  [/is forbidden: User /, 'restore the roles of the operator'],
];

/** Undefined if the words are not known. */
export function findCure(message: string): string | undefined {
  return KUBE_CURES.find(([words]) => words.test(message))?.[1];
}
