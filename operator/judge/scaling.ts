/**
 * Plans how a relay gets smaller without losing mail. A pod whose ordinal is not below the replicas leaves. The
 * StatefulSet keeps its place until exactly this pod reports an empty disk under the current order. Then its claim gets
 * a mark: the uid of the pod. Only a claim with the mark of the last pod that used it is removed. A claim without a
 * mark may have mail, so its pod is brought back and leaves again. The mark is removed before a pod is wanted again.
 * Pure; claims.ts writes the plan.
 */
import { isNumbered, parseOrdinal, scaleOrder } from '#crds/scalefile.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import type { KubeObject } from '../kube/client.ts';
import { objectNames } from '../render/metadata.ts';
import type { PodView, World } from '../world.ts';
import { type Check, is } from './finding.ts';
import { counted, listed, verb } from './words.ts';

export interface Scaling {
  /** Replicas of the StatefulSet: enough for the wanted pods and for those that still have mail. */
  readonly replicas: number;
  /** Claims whose mark is removed, because their pods are wanted again. */
  readonly unmarked: readonly KubeObject[];
  /** Claims that get a mark because they are empty. The proof is the uid of the pod that reports it, or NEVER_BOUND. */
  readonly marked: readonly { readonly claim: KubeObject; readonly proof: string }[];
  /** Claims to remove: they are empty and no pod uses them. */
  readonly removed: readonly KubeObject[];
}

/** The mark of a claim that has never had a volume. It no longer counts when the claim has a volume. */
const NEVER_BOUND = 'never-bound';

export function planScaling(world: World): Scaling {
  const { spec } = world.relay;
  const claims = listClaims(world);
  const beyond = claims.filter(({ metadata }) => parseOrdinal(metadata.name) >= spec.replicas);
  const withMail = [
    ...beyond.filter((claim) => !isEmptied(claim, world)).map(({ metadata }) => metadata.name),
    ...world.leaving.filter((pod) => mayHaveMail(pod, world)).map(({ name }) => name),
  ];
  const replicas = Math.max(spec.replicas, ...withMail.map((name) => parseOrdinal(name) + 1));
  return {
    replicas,
    unmarked: claims.filter(
      (claim) => parseOrdinal(claim.metadata.name) < spec.replicas && readMark(claim) !== undefined,
    ),
    marked: beyond.flatMap((claim) => {
      const proof = proveEmpty(world, claim);
      return proof !== undefined && proof !== readMark(claim) ? [{ claim, proof }] : [];
    }),
    removed: beyond.filter((claim) => isRemovable(claim, world, replicas)),
  };
}

/** Pods leave without an obstacle. */
export const scalingIn: Check = ({ leaving, relay }) =>
  leaving.length > 0
    ? is(
        'True',
        'ScalingIn',
        `${listed(leaving.map(({ name }) => name))} ${leaving.length === 1 ? 'goes as soon as its queue is' : 'go as soon as their queues are'} empty: ${counted(relay.spec.replicas, 'pod')} ${verb(relay.spec.replicas, 'stays', 'stay')}`,
      )
    : undefined;

/** A pod leaves, and its queue cannot be handed over. */
export const scaleInWaits: Check = ({ leaving }) => {
  const [stuck] = leaving.flatMap((pod) => {
    const why = whyItWaits(pod);
    return why === undefined ? [] : [{ pod, why }];
  });
  if (!stuck) return undefined;
  const text = `Pod ${stuck.pod.name} stays until its queue is empty: ${stuck.why}`;
  return is('True', 'ScaleInWaits', `${text}: see why its mail waits, or raise replicas again`);
};

function whyItWaits({ report, ip, stranger, trouble }: PodView): string | undefined {
  if (stranger !== undefined) return `${stranger} answers at its address`;
  if (!report && trouble) return trouble.message;
  if (!report) return ip === undefined ? 'it does not start, and its claim may hold mail' : undefined;
  if (report.evacuation === undefined || !report.identity)
    return `version ${report.version} cannot hand it over, so the pod must be replaced by a newer one`;
  const { held, depth } = report.queue;
  if (report.evacuation?.state === 'HandingOver' && held > 0 && depth === 0)
    return 'it has damaged entries, which wait for a person';
  return report.evacuation?.message ?? undefined;
}

function isRemovable(claim: KubeObject, world: World, replicas: number): boolean {
  const ordinal = parseOrdinal(claim.metadata.name);
  const pod = findPod(world, claim);
  const set = world.objects.get(`StatefulSet/${world.relay.metadata.name}`);
  const { replicas: places = 0 } = (set?.['spec'] ?? {}) as { replicas?: number };
  return (
    ordinal >= replicas &&
    ordinal >= places &&
    isEmptied(claim, world) &&
    (pod === undefined || pod.deleting) &&
    claim.metadata.deletionTimestamp === undefined
  );
}

/**
 * True if the claim has a valid mark, or is being deleted: then it was found empty before, or a person deleted it. A pod that
 * is not of the relay may use the claim all the same, and then no mark counts.
 */
export function isEmptied(claim: KubeObject, world: World): boolean {
  const [mark, pod, ordinal] = [readMark(claim), findPod(world, claim), parseOrdinal(claim.metadata.name)];
  if (claim.metadata.deletionTimestamp !== undefined) return true;
  if (world.strangers?.some(({ metadata }) => parseOrdinal(metadata.name) === ordinal)) return false;
  if (mark === NEVER_BOUND) return isUnbound(claim);
  return mark !== undefined && (!pod || pod.uid === mark);
}

/**
 * The proof that a claim has no mail: the report of its pod, or the fact that the pod waits for the first volume of the
 * claim.
 */
function proveEmpty(world: World, claim: KubeObject): string | undefined {
  const pod = findPod(world, claim);
  if (!pod) return undefined;
  if (saysEmptied(pod, world)) return pod.uid;
  return isUnbound(claim) && pod.ip === undefined ? NEVER_BOUND : undefined;
}

/** True if the pod reports an empty disk under the current order. A report without identity or order proves nothing. */
function saysEmptied({ report, uid }: PodView, { relay }: World): boolean {
  const { identity, evacuation } = report ?? {};
  return (
    identity?.uid === uid &&
    evacuation?.state === 'Emptied' &&
    evacuation.order === scaleOrder(relay.metadata)
  );
}

/** True if the claim was never used: it has no volume, and names no source of its contents, such as a snapshot. */
export function isUnbound(claim: KubeObject): boolean {
  const { phase } = (claim['status'] ?? {}) as { phase?: string };
  const { volumeName, selector, dataSource, dataSourceRef } = (claim['spec'] ?? {}) as Record<
    string,
    unknown
  >;
  return phase === 'Pending' && !(volumeName || selector || dataSource || dataSourceRef);
}

/** True if the pod may have mail without a claim, in the pod itself. In mode CutThrough there is none. */
function mayHaveMail(pod: PodView, world: World): boolean {
  if (isCutThrough(world.relay) || pod.deleting) return false;
  return findClaim(world, pod) === undefined && !saysEmptied(pod, world);
}

/** The claims by their names, because a copy that somebody made has our labels too; by ordinal. Without a queue there are none. */
export function listClaims({ objects, relay }: World): KubeObject[] {
  if (isCutThrough(relay)) return [];
  const prefix = objectNames.claim(relay.metadata.name);
  return [...objects.values()]
    .filter(({ kind, metadata }) => kind === 'PersistentVolumeClaim' && isNumbered(metadata.name, prefix))
    .toSorted((a, b) => parseOrdinal(a.metadata.name) - parseOrdinal(b.metadata.name));
}

/** In mode CutThrough, claims of the name are left from an earlier relay. No pod can empty them, so they stay. */
export function isCutThrough({ spec }: World['relay']): boolean {
  return spec.queue?.mode === 'CutThrough';
}

function findClaim(world: World, pod: PodView): KubeObject | undefined {
  return listClaims(world).find(({ metadata }) => parseOrdinal(metadata.name) === parseOrdinal(pod.name));
}

function findPod({ pods, leaving }: World, { metadata }: KubeObject): PodView | undefined {
  return [...pods, ...leaving].find(({ name }) => parseOrdinal(name) === parseOrdinal(metadata.name));
}

function readMark({ metadata }: KubeObject): string | undefined {
  return metadata.annotations?.[ANNOTATIONS.emptied];
}
