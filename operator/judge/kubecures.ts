/**
 * The cure for a refusal of the API server, or for a warning of a controller of Kubernetes, by its words. Pure.
 */

/** The first entry whose words are in the message counts. */
const KUBE_CURES: readonly (readonly [words: RegExp, cure: string])[] = [
  [
    /persistentvolumeclaim.*resize/i,
    'set queue.storage.size back, or allowVolumeExpansion: true in the StorageClass',
  ],
  [/exceeded quota/i, 'raise the quota of the namespace'],
  [
    /storageclass[^ ]* .*not found/i,
    'create that StorageClass, or make a second MailRelay with another queue.storage.className',
  ],
  [/provision volume/i, 'mend the StorageClass or its provisioner'],
  [/no PriorityClass/i, 'create that PriorityClass, or correct pod.priorityClassName'],
  [/serviceaccount .*not found/i, 'create that ServiceAccount again'],
  [/failed calling webhook/i, 'mend that webhook, or remove its configuration'],
  [
    /admission webhook|ValidatingAdmissionPolicy|PodSecurity/i,
    'change what the policy refuses, or the policy',
  ],
  [/is forbidden: User /, 'restore the roles of the operator'],
];

/** Undefined if the words are not known. */
export function findCure(message: string): string | undefined {
  return KUBE_CURES.find(([words]) => words.test(message))?.[1];
}
