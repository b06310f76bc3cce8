/**
 * The claims of the queues. Plans a change of queue.storage.size, and tells of a claim that is being deleted or has lost its
 * volume. A volume never shrinks, so a size below that of a volume is refused. A size that was not granted can be taken back, for example
 * after a slip of the pen. Kubernetes lowers a request only to more than the volume has (RecoverVolumeExpansionFailure).
 * So a request may stay, and is told, until a size comes that can be asked for. A provisioner may grant more than the
 * request; that alone is no reason to refuse. Each change notes at the claim what was granted before it, because the
 * request does not say that any more. Pure.
 */
import { isNumbered } from '#crds/scalefile.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import type { KubeObject } from '../kube/client.ts';
import { CLAIM, STATEFUL_SET } from '../kube/kinds.ts';
import type { Rendered } from '../render/index.ts';
import { objectNames } from '../render/metadata.ts';
import { isAtLeast } from '../render/quantity.ts';
import { storageRequest } from '../render/statefulset.ts';
import type { World } from '../world.ts';
import { type Check, is } from './finding.ts';
import { hasTaken, listPlaces, losesMail, type Place, readMark } from './place.ts';

export interface StatefulSetSpec {
  readonly replicas: number;
  readonly volumeClaimTemplates?: readonly {
    readonly metadata: { readonly name: string };
    readonly spec: ClaimSpec;
  }[];
}

interface ClaimSpec {
  readonly resources: { readonly requests: { readonly storage: string } };
}

interface ClaimChange {
  readonly claim: KubeObject;
  /** The note of what was granted; undefined: the claim keeps what it has. */
  readonly granted: string | undefined;
}

export type StoragePlan =
  /** Claims that must request another size before the StatefulSet is replaced. */
  | { kind: 'changes'; claims: readonly ClaimChange[]; size: string }
  /** A volume would have to shrink, so the StatefulSet keeps its size. */
  | { kind: 'shrinks'; object: string; size: string; granted: string };

/** True if the spec has another size than the StatefulSet, so that each claim counts. */
export function changesSize(set: KubeObject, { spec }: World['relay']): boolean {
  return readRequest(set) !== storageRequest(spec);
}

/** Undefined if the size has not changed. */
export function planStorage(world: World, live: KubeObject, wanted: Rendered): StoragePlan | undefined {
  const [before, size] = [readRequest(live), readRequest(wanted)];
  if (before === size) return undefined;
  const claims = listClaims(world);
  const larger = isAtLeast(size, before)
    ? undefined
    : claims.find((claim) => !isAtLeast(size, readCapacity(claim)) && !wasGranted(claim, size));
  if (larger)
    return {
      kind: 'shrinks',
      object: `${CLAIM.kind}/${larger.metadata.name}`,
      size,
      granted: readCapacity(larger),
    };
  const changed = claims.filter((claim) => mayAskFor(claim, size, before));
  return {
    kind: 'changes',
    claims: changed.map((claim) => ({ claim, granted: noteOf(claim, before) })),
    size,
  };
}

export function keepClaims(live: KubeObject, wanted: Rendered): Rendered {
  const { volumeClaimTemplates } = live['spec'] as StatefulSetSpec;
  return { ...wanted, spec: { ...(wanted['spec'] as StatefulSetSpec), volumeClaimTemplates } };
}

export const storageShrinks: Check = ({ obstacles }) => {
  const found = obstacles.find((obstacle) => obstacle.kind === 'shrinks');
  if (!found) return undefined;
  const text = `queue.storage.size ${found.size} is less than the ${found.granted} of ${found.object}, and a volume cannot shrink`;
  const cure = `set ${found.granted} or more, or make a second MailRelay with the smaller size, move the traffic, and delete this one when its queue is empty`;
  return is('True', 'StorageCannotShrink', `${text}: ${cure}`);
};

/** A request that is not granted is more than the size of the spec, and cannot be lowered to it. */
export const storageRequestStands: Check = (world) => {
  const set = world.objects.get(`${STATEFUL_SET.kind}/${world.relay.metadata.name}`);
  const size = readRequest(set ?? {});
  if (size === '0') return undefined;
  const claim = listClaims(world).find(
    (one) => isOurs(one) && !isAtLeast(size, readAsked(one)) && !isAtLeast(readCapacity(one), readAsked(one)),
  );
  if (!claim) return undefined;
  const [name, capacity] = [`${CLAIM.kind}/${claim.metadata.name}`, readCapacity(claim)];
  const text = `${name} still asks for ${readAsked(claim)}, and Kubernetes lowers that only to more than the ${capacity} that it has`;
  return is('False', 'StorageRequestStands', `${text}: set queue.storage.size to more than ${capacity}`);
};

/**
 * Somebody deleted the claim of a pod that is wanted, or that leaves and may still have mail. It stays until the pod ends. A
 * claim that was found empty before goes by ourselves.
 */
export const claimDeleted: Check = (world) => {
  const found = findLoss(world, (place, isWanted) => losesMail(place) && (isWanted || hasTaken(place.pod)));
  if (!found) return undefined;
  const { claim, volume, pod, isWanted } = found;
  const text = `${claim} is being deleted, and with the next end of pod ${pod} its mail is lost`;
  const keep = `set persistentVolumeReclaimPolicy: Retain on the volume ${volume}`;
  const cure = isWanted
    ? `${keep}, let the queue of the pod run empty, and delete the pod, so that it gets a new claim`
    : `${keep}; the pod leaves when its queue is empty, or when you delete it too and so give its mail up`;
  return is('False', 'ClaimDeleted', `${text}: ${cure}`);
};

/** Somebody deleted the volume of a pod that runs. The pod works on, and no other pod can start on the claim. */
export const claimLost: Check = (world) => {
  const found = findLoss(
    world,
    ({ claim, pod }) => !!claim && isLost(claim) && hasTaken(pod) && readMark(claim) !== pod.uid,
  );
  if (!found) return undefined;
  const { claim, volume, pod, isWanted } = found;
  const text = `${claim} has lost its volume ${volume}, and with the next end of pod ${pod} its mail is lost`;
  const keep = 'restore that PersistentVolume';
  const cure = isWanted
    ? `${keep}, or let the queue of the pod run empty, and delete the claim and then the pod, so that both are made anew`
    : `${keep}, or let the pod run: the pod leaves when its queue is empty`;
  return is('False', 'ClaimLost', `${text}: ${cure}`);
};

/** The first place that is meant, in the words of the status. `isWanted`: it is none that leaves. */
function findLoss(world: World, isMeant: (place: Place, isWanted: boolean) => boolean) {
  const { metadata, spec } = world.relay;
  const isWanted = ({ ordinal }: Place) => ordinal < spec.replicas;
  const found = listPlaces(world).find((place) => isMeant(place, isWanted(place)));
  if (!found?.claim) return undefined;
  const { volumeName: volume = 'of the claim' } = (found.claim['spec'] ?? {}) as { volumeName?: string };
  const claim = `${CLAIM.kind}/${found.claim.metadata.name}`;
  return { claim, volume, pod: `${metadata.name}-${found.ordinal}`, isWanted: isWanted(found) };
}

/** So says the cluster of a claim that was bound, and whose volume is gone. */
function isLost({ status }: KubeObject): boolean {
  return (status as { phase?: string } | undefined)?.phase === 'Lost';
}

/**
 * True if the request of the claim may change to `size`: to more, or to less if that is more than its capacity. A
 * request that somebody else has set stays.
 */
function mayAskFor(claim: KubeObject, size: string, before: string): boolean {
  const asked = readAsked(claim);
  if (!isAtLeast(asked, size)) return true;
  if (asked === size || isAtLeast(readCapacity(claim), size)) return false;
  return asked === before || isOurs(claim);
}

/** True if the operator has asked for more, and nothing was granted since. */
function isOurs(claim: KubeObject): boolean {
  return readNote(claim)?.capacity === readCapacity(claim);
}

/** True if the volume is as it was granted for this size or more. */
function wasGranted(claim: KubeObject, size: string): boolean {
  const note = readNote(claim);
  return note !== undefined && isOurs(claim) && isAtLeast(size, note.size);
}

/** The note that a change from this size leaves. */
function noteOf(claim: KubeObject, before: string): string | undefined {
  const capacity = readCapacity(claim);
  return isAtLeast(capacity, before) ? `${before}/${capacity}` : undefined;
}

function readNote({ metadata }: KubeObject): { size: string; capacity: string } | undefined {
  const [size, capacity] = (metadata.annotations?.[ANNOTATIONS.granted] ?? '').split('/');
  return size && capacity ? { size, capacity } : undefined;
}

function readAsked(claim: KubeObject): string {
  return (claim['spec'] as ClaimSpec).resources.requests.storage;
}

/** The claims by their names, because a copy that somebody made has our labels too. */
function listClaims({ objects, relay }: World): KubeObject[] {
  const prefix = objectNames.claim(relay.metadata.name);
  return [...objects.values()].filter(
    ({ kind, metadata }) => kind === CLAIM.kind && isNumbered(metadata.name, prefix),
  );
}

/** The capacity of the volume of the claim; 0 before it has one. */
function readCapacity(claim: KubeObject): string {
  const { capacity } = (claim['status'] ?? {}) as { capacity?: { storage?: string } };
  return capacity?.storage ?? '0';
}

/** The size that each claim of the StatefulSet requests; 0 in mode CutThrough, which has no claims. */
function readRequest(set: { readonly [field: string]: unknown }): string {
  const { volumeClaimTemplates = [] } = (set['spec'] ?? {}) as Partial<StatefulSetSpec>;
  return volumeClaimTemplates[0]?.spec.resources.requests.storage ?? '0';
}
