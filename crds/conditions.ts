/**
 * The condition types and reasons. They are part of the API, and docs/conditions.md is generated from this file. Each
 * reason gives its cause and its cure. Polarity and presence follow kstatus. Pure data.
 */

import { SOUND_REASONS } from './soundreasons.ts';

export const CONDITION_TYPES = [
  'Ready',
  'Reconciling',
  'Stalled',
  'CertificateReady',
  'PolicyApplied',
  'QueueHealthy',
  'ConfigurationSound',
] as const;
export type ConditionType = (typeof CONDITION_TYPES)[number];

/** The meaning of each type, and when the condition is present. */
export const CONDITION_MEANING: Readonly<Record<ConditionType, string>> = {
  Ready:
    'True when mail flows as the spec says: every pod is ready and has the policy in force. Always present.',
  Reconciling: 'True while the operator brings the world to the spec; absent otherwise (kstatus).',
  Stalled: 'True when a person must act before anything can go on; absent otherwise (kstatus).',
  CertificateReady:
    'True when every pod serves a valid certificate for the host name, and one for its names inside the cluster where that is wanted. May be False while Ready is True: a certificate with a fault is better than plain text. Absent where no TLS, or no pod, is wanted.',
  PolicyApplied:
    'True when the wanted policy is in force for every new session on every pod. Unknown where pods are ready and do not answer the operator.',
  QueueHealthy:
    'False when mail waits longer than it should, or for a person, or a queue is full. Unknown while a pod that may have mail does not say what is in its queue, except for the pods that a normal rollout replaces.',
  ConfigurationSound:
    'False when the spec is valid but will probably not do what is meant; mail flows as it says all the same. Unknown where the operator cannot look at what tells it.',
};

interface Reason {
  readonly type: ConditionType;
  readonly cause: string;
  readonly cure: string;
}

/** Every reason. It has the same meaning in every condition; `type` is the condition whose check finds it. */
export const REASONS = {
  Serving: { type: 'Ready', cause: 'Every pod is ready and has the wanted policy.', cure: 'Nothing to do.' },
  ScaledToZero: { type: 'Ready', cause: 'replicas is 0.', cure: 'Scale up when mail should flow again.' },
  PodsNotReady: {
    type: 'Ready',
    cause:
      'Fewer pods are ready than wanted. Where Kubernetes says why (a node, an image, a volume, a quota, the exit of the relay) the message quotes it; Stalled too where waiting does not help.',
    cure: 'Mend what the message names; without a fault in it, wait: pods are on their way.',
  },
  PodsUnreachable: {
    type: 'PolicyApplied',
    cause:
      'Pods are ready, and the operator gets no answer from them, so that it cannot tell what they serve. Ready keeps its value where this generation was seen in force.',
    cure: 'Let the pods of the operator reach port 9090 of the relay pods: look for a NetworkPolicy, or a service mesh that wants its own TLS.',
  },
  RollingOut: {
    type: 'Reconciling',
    cause: 'Pods are being started or replaced.',
    cure: 'Wait; pods go one at a time.',
  },
  RolloutWaits: {
    type: 'Reconciling',
    cause: 'A new operator wants new pods, and other relays are being replaced: a few go at a time.',
    cure: 'Wait; if nothing moves, look for relays whose pods do not become ready. What you change in the spec does not wait.',
  },
  OtherInstallation: {
    type: 'Stalled',
    cause: 'An object of the name was made by another installation of the operator.',
    cure: 'Remove the object or rename the MailRelay; or give the MailRelay to that installation, by spec.className or the annotation mailrelay.dev/installation.',
  },
  MakingAnew: {
    type: 'Reconciling',
    cause:
      'An object of the name is being deleted and then made anew: one of an earlier MailRelay of this name, or the StatefulSet around its running pods, because the claims grow.',
    cure: 'Wait; it takes seconds. If nothing moves, look for finalizers on the object that the message names.',
  },
  ScalingIn: {
    type: 'Reconciling',
    cause: 'Fewer pods are wanted: those with the highest numbers take no mail and hand their queues over.',
    cure: 'Wait; a pod and its claim go as soon as its queue is empty.',
  },
  ScaleInWaits: {
    type: 'Reconciling',
    cause:
      'A pod that is no longer wanted still has mail: its siblings are away or full, or none stays, or there is no certificate, so that its queue is delivered.',
    cure: 'The message says why; mend what it names, or the next hops. Or raise replicas again: the pod then stays.',
  },
  WriteFailed: {
    type: 'Reconciling',
    cause: 'The API server fails at a write for this relay, most often because an admission webhook is down.',
    cure: 'The message quotes the API server; mend what it names. It is tried again, after three minutes at the latest.',
  },
  LookFailed: {
    type: 'Reconciling',
    cause:
      'The operator fails at this MailRelay by a fault of its own. Its pods run on as they are. The other conditions are those of the last look that ended well.',
    cure: 'Report the message as a fault of the operator. It is tried again, after three minutes at the latest; undo the last change of the MailRelay if it began with that.',
  },
  PolicyChanging: {
    type: 'Reconciling',
    cause: 'A new policy is on its way to the pods.',
    cure: 'Wait; it takes seconds.',
  },
  NameTaken: {
    type: 'Stalled',
    cause: 'An object of a wanted name belongs to someone else; it is left alone.',
    cure: 'Rename or remove the object that the message names, or rename the MailRelay. Of a claim, first see whether it is a queue of this relay that lost its labels.',
  },
  Denied: {
    type: 'Stalled',
    cause: 'The API server refuses an object of this relay (its own rules, admission, quota or RBAC).',
    cure: 'The message quotes the API server; mend what it names. Claims grow where their StorageClass has allowVolumeExpansion.',
  },
  StorageCannotShrink: {
    type: 'Stalled',
    cause: 'queue.storage.size is smaller than what a claim has; the pods keep their volumes.',
    cure: 'Set at least the size that the message names. What a claim asked for and never got may be taken back.',
  },
  SpecInvalid: {
    type: 'Stalled',
    cause: 'The spec breaks a rule of this version (stored before the rule existed).',
    cure: 'Change the field that the message names.',
  },
  CertManagerMissing: {
    type: 'Stalled',
    cause: 'An issuerRef is set, in tls or for another certificate, but the cluster has no cert-manager.',
    cure: 'Install cert-manager, or fill the Secret yourself and remove the issuerRef that the message names.',
  },
  CertificateServed: {
    type: 'CertificateReady',
    cause: 'Every pod serves a valid certificate.',
    cure: 'Nothing to do.',
  },
  CertificateNotIssued: {
    type: 'CertificateReady',
    cause:
      'cert-manager has not issued the certificate yet; where that has failed, or the issuer does not exist, and no other is served, it is Stalled too.',
    cure: 'The message quotes cert-manager; correct tls.issuerRef or mend the issuer.',
  },
  CertificateUpdating: {
    type: 'CertificateReady',
    cause: 'Pods serve different certificates while a new one arrives.',
    cure: 'Wait; it takes seconds, and for another authority inside the cluster two minutes.',
  },
  CertificateMissing: {
    type: 'CertificateReady',
    cause:
      'The Secret does not exist or lacks tls.crt or tls.key. Stalled too while no certificate is served.',
    cure: 'Create the Secret of type kubernetes.io/tls, or set tls.issuerRef.',
  },
  CertificateUnreadable: {
    type: 'CertificateReady',
    cause:
      'tls.crt or tls.key cannot be parsed; the last good pair stays in service. Without one it is Stalled too.',
    cure: 'Write PEM text, the key unencrypted.',
  },
  KeyMismatch: {
    type: 'CertificateReady',
    cause:
      'tls.key does not belong to tls.crt; the last good pair stays in service. Without one it is Stalled too.',
    cure: 'Write both from the same issue.',
  },
  CertificateExpired: {
    type: 'CertificateReady',
    cause: 'The certificate has ended; it is still served, so that senders can encrypt.',
    cure: 'Renew it; where cert-manager should have, the message quotes it.',
  },
  CertificateExpiringSoon: {
    type: 'CertificateReady',
    cause: 'Less than a tenth of its time is left (a week at most), and there is no new one.',
    cure: 'Renew it; where cert-manager should have, the message quotes it.',
  },
  CertificateNotYetValid: {
    type: 'CertificateReady',
    cause: 'The certificate begins in the future.',
    cure: 'Check the clocks, or wait.',
  },
  HostnameNotCovered: {
    type: 'CertificateReady',
    cause:
      'The certificate does not name spec.hostname, or that of tls.internal or tls.certificates not all of its names.',
    cure: 'Issue one that does, or correct spec.hostname.',
  },
  PolicyInForce: {
    type: 'PolicyApplied',
    cause: 'Every pod has the wanted policy in force.',
    cure: 'Nothing to do.',
  },
  PolicyPending: {
    type: 'PolicyApplied',
    cause: 'Some pods do not report the wanted policy yet.',
    cure: 'Wait; the message counts them.',
  },
  PolicyRefused: {
    type: 'PolicyApplied',
    cause: 'A pod refused the policy, or cannot read its mounted files; what it has stays in force.',
    cure: 'The message quotes the pod. Where its version is too old for a new field, it takes the policy when it is replaced. Where it cannot read a file, mail flows as before; mend what the message names, most often the disk of the node or a limit of open files.',
  },
  QueueMoving: {
    type: 'QueueHealthy',
    cause: 'No mail waits, or it goes out. Some domain may take none, and the message says so.',
    cure: 'Nothing to do.',
  },
  MailWaiting: {
    type: 'QueueHealthy',
    cause: 'The oldest message waits for more than an hour.',
    cure: 'The message names the destinations and why they defer.',
  },
  MailStuck: {
    type: 'QueueHealthy',
    cause:
      'Mail for a next hop of the spec has waited for two minutes, and none went out; or none of several destinations answers.',
    cure: 'The message says what the hop answers, or why it cannot be reached.',
  },
  QueueFull: {
    type: 'QueueHealthy',
    cause: 'A queue is full, so that clients are answered 452 until it is shorter.',
    cure: 'Mend what keeps mail from going out, or raise queue.storage.size, queue.maxSize or queue.maxMessages.',
  },
  ClaimDeleted: {
    type: 'QueueHealthy',
    cause:
      'The claim of a pod with a queue is being deleted. It and its volume go with the next end of the pod, and the mail on it is lost. A pod that leaves keeps its place until its queue is empty all the same.',
    cure: 'Set persistentVolumeReclaimPolicy: Retain on the volume that the message names. Let the queue of a wanted pod run empty, and delete the pod: it gets a new claim. One that leaves goes by itself.',
  },
  ClaimLost: {
    type: 'QueueHealthy',
    cause:
      'The claim of a pod that runs is in phase Lost: somebody deleted its volume. The pod works on. With its next end the mail on it is lost, and no pod can start on the claim.',
    cure: 'Restore the PersistentVolume that the message names, if its disk is still there. Otherwise let the queue of a wanted pod run empty, and delete the claim and then the pod: both are made anew. One that leaves goes by itself.',
  },
  MailHeld: {
    type: 'QueueHealthy',
    cause: 'A person holds mail back, or an entry is damaged: it waits for a person.',
    cure: 'See "mailrelay queue list --held" for the reason; "mailrelay queue release" lets go what is held.',
  },
  LoginRefused: {
    type: 'QueueHealthy',
    cause: 'A next hop refuses the login of the relay; its mail is held back, not returned.',
    cure: 'Correct the Secret that the hop names; the relay tries again by itself.',
  },
  ...SOUND_REASONS,
} as const satisfies Record<string, Reason>;

export type ReasonName = keyof typeof REASONS;
