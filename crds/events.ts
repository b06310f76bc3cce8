/** Which changes of conditions become Kubernetes events, and the events with a reason of their own. Pure data. */
import type { ConditionType, ReasonName } from './conditions.ts';

interface ToldTransition {
  readonly condition: ConditionType;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly event: 'Normal' | 'Warning';
}

/** Reasons that come and go with every start and rollout. */
export const IN_PROGRESS: ReadonlySet<ReasonName> = new Set([
  'RollingOut',
  'RolloutWaits',
  'ScalingIn',
  'MakingAnew',
  'PolicyChanging',
  'PolicyPending',
  'CertificateUpdating',
]);

/** Reasons without an event, because most relays have them for a moment. */
export const WITHOUT_EVENT: ReadonlySet<ReasonName> = new Set([...IN_PROGRESS, 'LoadBalancerPending']);

/**
 * An event is written when a condition changes to this status, or changes its reason or cause while it has this status.
 * If several conditions have the same reason and cause, there is one event. Pods that are not ready because they are
 * started or replaced are none.
 */
export const TOLD_TRANSITIONS: readonly ToldTransition[] = [
  { condition: 'Stalled', status: 'True', event: 'Warning' },
  { condition: 'CertificateReady', status: 'False', event: 'Warning' },
  { condition: 'QueueHealthy', status: 'False', event: 'Warning' },
  { condition: 'ConfigurationSound', status: 'False', event: 'Warning' },
  { condition: 'PolicyApplied', status: 'Unknown', event: 'Warning' },
  { condition: 'Reconciling', status: 'True', event: 'Warning' },
  { condition: 'Ready', status: 'False', event: 'Warning' },
  { condition: 'Ready', status: 'True', event: 'Normal' },
];

/** Of the first certificate that has a fault: that of the host name is before the others. */
const SECRET = /\bSecret ([^:]+)/;

/**
 * Where one reason has several causes: what of the message names the cause. A second cause is told too. Other reasons
 * have no entry, because what their messages name may change with every look.
 */
export const CAUSE_IN_MESSAGE: Partial<Readonly<Record<ReasonName, RegExp>>> = {
  PodsNotReady: /; (?:pod \S+|\w+\/\S+): (?:container \S+: )?(?:CrashLoopBackOff, )?([^:;(]+)/,
  Denied: /^The API server refuses ([^:]+):/,
  ReferenceMissing: /: (spec\.[^:]+):/,
  // Of the pods that cannot be touched, another one is the first at each look.
  ExtraRefused: /^Mail flows, but (the \w+ of \w+|\S+)/,
  CertificateNotIssued: /^cert-manager has not issued ([^:]+):/,
  CertificateMissing: SECRET,
  CertificateUnreadable: SECRET,
  KeyMismatch: SECRET,
  CertificateExpired: SECRET,
  CertificateExpiringSoon: SECRET,
  CertificateNotYetValid: SECRET,
  HostnameNotCovered: SECRET,
};

/** Words of Kubernetes for one cause, which follow each other while it lasts. */
export const SAME_CAUSE: readonly (readonly string[])[] = [
  ['ErrImagePull', 'ImagePullBackOff'],
  ['Error', 'CrashLoopBackOff'],
  ['StartError', 'RunContainerError', 'ContainerCannotRun'],
  ['FailedAttachVolume', 'FailedMount'],
];

/** Events whose reason is not that of a condition, and when they are written. */
export const CHANGE_EVENTS = {
  OtherInstallation:
    'Two operators could look after the MailRelay, and this one leaves it to the other, which was first. The note names both, and how to choose.',
  PolicyChanged:
    'A wanted policy is in force on every pod. The note has its hash, and how many sessions of the one before are open, until when.',
  TlsReportsReceived:
    'A day (UTC) is over on which mail came to inbound.tlsReports.address. The note has the sums of all pods.',
  CertificateLoaded:
    'Every pod serves a valid certificate of another serial number. The note has that number, and when it ends.',
} as const;
