/**
 * All facts about one MailRelay at one moment, for judging, rendering and reporting. gather.ts builds it. It is plain
 * data, so that tests can write it as a literal.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import type { PodStatus } from '#crds/podstatus.ts';
import type { Policy } from '#crds/policyfile.ts';
import type { PodTrouble } from './judge/trouble.ts';
import type { KeptObject, KubeObject } from './kube/client.ts';
import type { KubeError } from './kube/errors.ts';
import type { DnsView, KeyPlan } from './records/keyplan.ts';

export interface PodView {
  readonly name: string;
  readonly uid: string;
  readonly ip: string | undefined;
  /** True if its relay has run at some time, whatever it does now, so that its disk may have mail. */
  readonly hasRun: boolean;
  /** True if the kubelet reports the Ready condition. */
  readonly ready: boolean;
  readonly deleting: boolean;
  /** Value of the label by which Services select the pod; undefined on pods of an older operator. */
  readonly serving: string | undefined;
  /** Value of the annotation that makes the kubelet refresh its mounts. */
  readonly refresh: string | undefined;
  /** The reason why Kubernetes does not run or end the pod, if it gives one. */
  readonly trouble?: PodTrouble | undefined;
  /** Since when it has a node and is not ready, in milliseconds since the epoch. */
  readonly notReadySince?: number | undefined;
  /**
   * The last report of the relay in the pod; undefined if it cannot be reached, or if what answers at its address is
   * another pod or does not say which pod it is.
   */
  readonly report: PodStatus | undefined;
  /** What answers at the address of this pod in its place. */
  readonly stranger?: string;
}

export interface UnlistedKind {
  readonly kind: string;
  /** The last answer of the API server. */
  readonly message: string;
}

/** A Secret that a relay of the namespace fills by cert-manager. */
export interface FilledSecret {
  readonly secret: string;
  readonly relay: MailRelay;
  /** Creation time of its Certificate; undefined before the creation. */
  readonly since: string | undefined;
}

/** What the caches lack of the objects by which steps are judged that cannot be taken back (see lacking.ts). */
export interface Lacking {
  /** They are there all the same. */
  readonly found: readonly KubeObject[];
  /** The names of those that the caches may still have, and that are there no more. */
  readonly gone: readonly string[];
  /** Of objects that could not be read. Nobody knows what they are. */
  readonly unread: readonly Obstacle[];
}

export interface World {
  readonly relay: MailRelay;
  /** Faults of the spec by the rules of this version. With a fault there is no policy. */
  readonly faults: readonly { readonly path: string; readonly message: string }[];
  readonly policy: Policy | undefined;
  /** Managed objects with the instance label of this relay, by `Kind/name`; of pods only its own (judge/ownpods.ts). */
  readonly objects: ReadonlyMap<string, KubeObject>;
  /** Those whose content is not known. Nothing is judged by them. */
  readonly partial?: ReadonlyMap<string, KeptObject>;
  readonly lacking?: Lacking;
  /** Pods of others that have a name of this relay. */
  readonly strangers?: readonly KubeObject[];
  /** Pods whose ordinal is below the replicas of the spec, by ordinal. */
  readonly pods: readonly PodView[];
  /** Pods with higher ordinals, which leave. */
  readonly leaving: readonly PodView[];
  /** False until every pod was polled once after a start of the operator. Until then no status is written. */
  readonly asked: boolean;
  /** Optional kinds that this cluster does not know: those of cert-manager, DNSEndpoint and PodMonitor. */
  readonly absentKinds: readonly string[];
  /**
   * Optional kinds that the API server does not list, or not any more, and that the relay can do without. Whether there are such
   * objects is not known.
   */
  readonly unlisted?: readonly UnlistedKind[];
  /** Those that the relay needs, and that may not be watched any more: its objects are read by name. */
  readonly readByName?: readonly UnlistedKind[];
  /** Secrets of this relay that other relays of the namespace fill by cert-manager too. */
  readonly filled?: readonly FilledSecret[];
  /** What Kubernetes says is in the way; read only while a pod, a volume or an address is missing or does not come. */
  readonly complaints?: readonly Complaint[];
  /** Which certificate is served, and which is the next one. `relay` has the Secret that is served. */
  readonly keys?: KeyPlan;
  /** What look-ups have shown of the TLSA records; only while a key waits for this proof. */
  readonly dns?: DnsView | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Prefix of the object name in an obstacle if only the refresh annotation of a pod could not be written. */
export const REFRESH = 'the refresh of ';

/** The same if only the labels of a pod or claim could not be restored. */
export const LABELS = 'the labelling of ';

/** An event of Kubernetes that tells why an object of the relay does not come: a warning, or a wait that lasts. */
export interface Complaint {
  readonly object: string;
  readonly reason: string;
  readonly message: string;
}

/** Why an object could not be made as wanted. */
export type Obstacle =
  | { kind: 'nameTaken'; object: string }
  /** Another installation of the operator created the object, for an earlier relay of the name. */
  | { kind: 'otherInstallation'; object: string; installation: string }
  /**
   * The object is being deleted, or belongs to an earlier MailRelay of the name. It is created again when it is gone.
   */
  | { kind: 'going'; object: string }
  /** The pods of the StatefulSet are replaced after those of other relays. */
  | { kind: 'waitsForTurn'; object: string }
  /** Another Certificate fills this Secret. */
  | { kind: 'secretTaken'; object: string; by: string }
  /** queue.storage.size is smaller than the volume of this claim. */
  | { kind: 'shrinks'; object: string; size: string; granted: string }
  | { kind: 'denied'; object: string; message: string; isReading?: true }
  /** The API server failed at the write, or at the reading. It is tried again after the status has reported it. */
  | { kind: 'failed'; object: string; error: KubeError; isReading?: true };
