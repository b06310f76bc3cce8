/**
 * Which pods are of a relay. Labels and names prove nothing: anybody who may write into a namespace can set them. A pod is
 * of the relay if its controller is the StatefulSet of the relay, by its uid; or, if that released it, by its revision, its
 * account and the claim of its number. While the StatefulSet is replaced, its pods have no owner or the old one, and no
 * revision of the new one; then their account and a revision of the name are enough. All else is the pod of a stranger: it
 * is not counted, not asked, not written to, and no relay grows for it. Pure.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import { isNumbered, parseOrdinal } from '#crds/scalefile.ts';
import { hasController, isOwnedBy } from '../compare.ts';
import type { KubeObject } from '../kube/client.ts';
import { POD, STATEFUL_SET } from '../kube/kinds.ts';
import { REVISION_LABEL } from './refusals.ts';
import type { StatefulSetSpec } from './storage.ts';

type Objects = ReadonlyMap<string, KubeObject>;

export interface SetStatus {
  readonly replicas?: number;
  readonly observedGeneration?: number;
  readonly currentRevision?: string;
  readonly updateRevision?: string;
}

interface PodSpec {
  readonly serviceAccountName?: string;
  readonly volumes?: readonly { readonly persistentVolumeClaim?: { readonly claimName?: string } }[];
}

interface Separated {
  /** All objects but the pods that are not of the relay. */
  readonly objects: Objects;
  /** By ordinal. */
  readonly own: readonly KubeObject[];
  /** By ordinal: pods of strangers that have a name of the relay. */
  readonly strangers: readonly KubeObject[];
}

export function separatePods(relay: MailRelay, objects: Objects): Separated {
  const pods = [...objects.values()].filter(({ kind }) => kind === POD.kind);
  const named = pods
    .filter(({ metadata }) => isNumbered(metadata.name, relay.metadata.name))
    .toSorted((a, b) => parseOrdinal(a.metadata.name) - parseOrdinal(b.metadata.name));
  const own = named.filter((pod) => isOwnPod(pod, relay, objects));
  if (own.length === pods.length) return { objects, own, strangers: [] };
  const ours = new Set(own);
  return {
    objects: new Map([...objects].filter(([, object]) => object.kind !== POD.kind || ours.has(object))),
    own,
    strangers: named.filter((pod) => !ours.has(pod)),
  };
}

/** Of a pod that has a name of the relay. */
export function isOwnPod(pod: KubeObject, relay: MailRelay, objects: Objects): boolean {
  const set = objects.get(`${STATEFUL_SET.kind}/${relay.metadata.name}`);
  if (set && !isOwnedBy(set, relay)) return false;
  if (set && isControlledBy(pod, set)) return true;
  return set && !isReplaced(set) ? isReleasedBy(pod, set) : isLeftBy(pod, relay.metadata.name);
}

/** True while the StatefulSet goes without its pods, or is new and its controller has not looked for them. */
function isReplaced({ metadata, status }: KubeObject): boolean {
  const { observedGeneration } = (status ?? {}) as SetStatus;
  return metadata.deletionTimestamp !== undefined || observedGeneration === undefined;
}

function findController({ metadata }: KubeObject) {
  return metadata.ownerReferences?.find(({ controller }) => controller === true);
}

/** True if the controller of the pod is a StatefulSet of this name. One that is gone takes its pods with it, a little later. */
export function isOfSetNamed(pod: KubeObject, name: string): boolean {
  const controller = findController(pod);
  return controller?.kind === STATEFUL_SET.kind && controller.name === name;
}

function isControlledBy(pod: KubeObject, set: KubeObject): boolean {
  const controller = findController(pod);
  return controller !== undefined && controller.uid === set.metadata.uid;
}

/** True if the pod has no controller, and was made of the template of this StatefulSet for the claim of its number. */
function isReleasedBy(pod: KubeObject, set: KubeObject): boolean {
  const { currentRevision, updateRevision } = (set['status'] ?? {}) as SetStatus;
  const { volumeClaimTemplates = [] } = (set['spec'] ?? {}) as Partial<StatefulSetSpec>;
  const { metadata } = pod;
  const { volumes = [], serviceAccountName } = (pod['spec'] ?? {}) as PodSpec;
  const claims = volumes.map(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName);
  const revision = metadata.labels?.[REVISION_LABEL];
  return (
    !hasController(pod) &&
    revision !== undefined &&
    (revision === currentRevision || revision === updateRevision) &&
    serviceAccountName === set.metadata.name &&
    volumeClaimTemplates.every((template) => claims.includes(`${template.metadata.name}-${metadata.name}`))
  );
}

/** The same while nothing tells the revisions and the claims of the former StatefulSet of the name. */
function isLeftBy(pod: KubeObject, name: string): boolean {
  const { serviceAccountName } = (pod['spec'] ?? {}) as PodSpec;
  return (
    (!hasController(pod) || isOfSetNamed(pod, name)) &&
    serviceAccountName === name &&
    pod.metadata.labels?.[REVISION_LABEL]?.startsWith(`${name}-`) === true
  );
}
