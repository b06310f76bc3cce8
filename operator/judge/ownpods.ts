/**
 * Which pods are of a relay. Labels and names prove nothing: anybody who may write into a namespace can set them. A pod is
 * of the relay if its controller is the StatefulSet of the relay, by its uid. One that this released, or that a former
 * StatefulSet of the name left, has no controller or one of that name: then its account, a revision of the name and the claim
 * of its number show it. Which revision it is proves no more, because whoever may give a pod the account can read it. All else
 * is the pod of a stranger: it is not counted, not asked, not written to, and no relay grows for it, unless an emptied claim
 * may have its mail (place.ts). Pure.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import { isNumbered, parseOrdinal } from '#crds/scalefile.ts';
import { findController, hasController, isOwnedBy } from '../compare.ts';
import type { KubeObject } from '../kube/client.ts';
import { POD, STATEFUL_SET } from '../kube/kinds.ts';
import { objectNames } from '../render/metadata.ts';
import { isCutThrough } from './place.ts';
import { REVISION_LABEL } from './refusals.ts';

type Objects = ReadonlyMap<string, KubeObject>;

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
  return (set !== undefined && findController(pod)?.uid === set.metadata.uid) || isMadeFor(pod, relay);
}

/** True if the controller of the pod is a StatefulSet of this name. One that is gone takes its pods with it, a little later. */
export function isOfSetNamed(pod: KubeObject, name: string): boolean {
  const controller = findController(pod);
  return controller?.kind === STATEFUL_SET.kind && controller.name === name;
}

/** True if no other controller has the pod, and a StatefulSet of the name made it, for the claim of its number. */
function isMadeFor(pod: KubeObject, relay: MailRelay): boolean {
  const { metadata } = pod;
  const { name } = relay.metadata;
  const { volumes = [], serviceAccountName } = (pod['spec'] ?? {}) as PodSpec;
  const claim = objectNames.claim(metadata.name);
  return (
    (!hasController(pod) || isOfSetNamed(pod, name)) &&
    serviceAccountName === name &&
    metadata.labels?.[REVISION_LABEL]?.startsWith(`${name}-`) === true &&
    (isCutThrough(relay) || volumes.some((volume) => volume.persistentVolumeClaim?.claimName === claim))
  );
}
