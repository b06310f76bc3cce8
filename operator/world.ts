/**
 * Everything that is known about one MailRelay at one moment: what judging, rendering and reporting see. Built by
 * gather.ts; plain data, so that tests can write it down.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import type { PodStatus } from '#crds/podstatus.ts';
import type { Policy } from '#crds/policyfile.ts';
import type { PodTrouble } from './judge/trouble.ts';
import type { KubeObject } from './kube/client.ts';
import type { KubeError } from './kube/errors.ts';

export interface PodView {
  readonly name: string;
  readonly uid: string;
  readonly ip: string | undefined;
  /** The Ready condition, as the kubelet reports it. */
  readonly ready: boolean;
  readonly deleting: boolean;
  /** Value of the label by which Services find it; undefined on pods of an older operator. */
  readonly serving: string | undefined;
  /** Value of the annotation that makes the kubelet refresh its mounts. */
  readonly refresh: string | undefined;
  /** Why Kubernetes does not run it, where it says so. */
  readonly trouble?: PodTrouble | undefined;
  /** What the relay in it said last; undefined while it cannot be reached, or where somebody else answers. */
  readonly report: PodStatus | undefined;
  /** Who else answers at its address. */
  readonly stranger?: string;
}

/** What a relay of the namespace has filled, and since when. */
export interface FilledSecret {
  readonly secret: string;
  readonly relay: MailRelay;
  /** When its Certificate was made; undefined before that. */
  readonly since: string | undefined;
}

export interface World {
  readonly relay: MailRelay;
  /** Faults of the spec by the rules of this version; the policy is there only without them. */
  readonly faults: readonly { readonly path: string; readonly message: string }[];
  readonly policy: Policy | undefined;
  /** Managed objects with this relay's instance label, by `Kind/name`. */
  readonly objects: ReadonlyMap<string, KubeObject>;
  /** Pods that the spec wants, by ordinal. */
  readonly pods: readonly PodView[];
  /** Pods that it has no place for. */
  readonly leaving: readonly PodView[];
  /** False while a pod has not been asked for its status yet, as after a start of the operator: nothing is reported. */
  readonly asked: boolean;
  /** Kinds that we may want and that this cluster does not know: those of cert-manager, and PodMonitor. */
  readonly absentKinds: readonly string[];
  /** Secrets that other relays of the namespace have filled by cert-manager. */
  readonly filled?: readonly FilledSecret[];
  /** What Kubernetes complains of; read only while something does not come about. */
  readonly complaints?: readonly Complaint[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Before the name of a pod, where only its annotation could not be written, and not the pod itself. */
export const REFRESH = 'the refresh of ';

/** A warning of Kubernetes about an object of the relay. */
export interface Complaint {
  readonly object: string;
  readonly reason: string;
  readonly message: string;
}

/** What came of applying: nothing, or why an object could not be as wanted. */
export type Obstacle =
  | { kind: 'nameTaken'; object: string }
  /** Another installation of the operator made it, for a relay that had the name before. */
  | { kind: 'otherInstallation'; object: string; installation: string }
  /** It is being deleted, or was of an earlier MailRelay of the name: made anew as soon as it is gone. */
  | { kind: 'going'; object: string }
  /** Its pods are replaced after those of other relays. */
  | { kind: 'waitsForTurn'; object: string }
  /** Another Certificate fills this Secret. */
  | { kind: 'secretTaken'; object: string; by: string }
  /** queue.storage.size is less than this claim has. */
  | { kind: 'shrinks'; object: string; size: string; granted: string }
  | { kind: 'denied'; object: string; message: string }
  /** The API server failed at it: tried again, once the status tells of it. */
  | { kind: 'failed'; object: string; error: KubeError };
