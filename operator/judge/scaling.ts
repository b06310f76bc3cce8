/**
 * How a relay gets smaller without stranding mail. A pod that the spec has no place for leaves; its place is kept until
 * that very pod reports an empty disk, in obedience to the order that is in force. The report is written on its claim,
 * by the uid of the pod: only a claim that carries the word of the last pod that used it is removed, and a claim
 * without it is mail, so that its pod is brought back and leaves anew. The mark comes off before a pod is wanted again.
 * Pure; claims.ts does it.
 */
import { isNumbered, parseOrdinal, scaleOrder } from '#crds/scalefile.ts';
import { ANNOTATIONS } from '#crds/wellknown.ts';
import type { KubeObject } from '../kube/client.ts';
import { objectNames } from '../render/metadata.ts';
import type { PodView, World } from '../world.ts';
import { type Check, is } from './finding.ts';
import { counted, listed, verb } from './words.ts';

export interface Scaling {
  /** Pods that the StatefulSet is to have: those wanted, and those that still have mail. */
  readonly replicas: number;
  /** Claims of pods that are wanted again. */
  readonly unmarked: readonly KubeObject[];
  /** Claims that are found empty, with what says so: the uid of the pod that reports it, or NEVER_BOUND. */
  readonly marked: readonly { readonly claim: KubeObject; readonly proof: string }[];
  /** Claims that are empty and that nobody uses. */
  readonly removed: readonly KubeObject[];
}

/** The mark of a claim that waits for its first volume; it is worth nothing once there is one. */
const NEVER_BOUND = 'never-bound';

export function planScaling(world: World): Scaling {
  const { spec } = world.relay;
  const claims = listClaims(world);
  const beyond = claims.filter(({ metadata }) => parseOrdinal(metadata.name) >= spec.replicas);
  const withMail = [
    ...beyond
      .filter((claim) => !isEmptied(claim, findPod(world, claim)))
      .map(({ metadata }) => metadata.name),
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

/** Pods leave, and nothing is in their way. */
export const scalingIn: Check = ({ leaving, relay }) =>
  leaving.length > 0
    ? is(
        'True',
        'ScalingIn',
        `${listed(leaving.map(({ name }) => name))} ${leaving.length === 1 ? 'goes as soon as its queue is' : 'go as soon as their queues are'} empty: ${counted(relay.spec.replicas, 'pod')} ${verb(relay.spec.replicas, 'stays', 'stay')}`,
      )
    : undefined;

/** A pod leaves, and its queue does not. */
export const scaleInWaits: Check = ({ leaving }) => {
  const [stuck] = leaving.flatMap((pod) => {
    const why = whyItWaits(pod);
    return why === undefined ? [] : [{ pod, why }];
  });
  return (
    stuck && is('True', 'ScaleInWaits', `Pod ${stuck.pod.name} stays until its queue is empty: ${stuck.why}`)
  );
};

function whyItWaits({ report, ip, stranger }: PodView): string | undefined {
  if (stranger !== undefined) return `${stranger} answers at its address`;
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
    isEmptied(claim, pod) &&
    (pod === undefined || pod.deleting) &&
    claim.metadata.deletionTimestamp === undefined
  );
}

/** One that is on its way out was found empty before, or a person gave it up. */
function isEmptied(claim: KubeObject, pod: PodView | undefined): boolean {
  const mark = readMark(claim);
  if (claim.metadata.deletionTimestamp !== undefined) return true;
  if (mark === NEVER_BOUND) return isUnbound(claim);
  return mark !== undefined && (!pod || pod.uid === mark);
}

/**
 * What proves that a claim has no mail: the word of its pod, or that the pod waits for the first volume of the claim.
 */
function proveEmpty(world: World, claim: KubeObject): string | undefined {
  const pod = findPod(world, claim);
  if (!pod) return undefined;
  if (saysEmptied(pod, world)) return pod.uid;
  return isUnbound(claim) && pod.ip === undefined ? NEVER_BOUND : undefined;
}

/** An older relay does not say which pod it is, nor which order it obeys: that is not enough. */
function saysEmptied({ report, uid }: PodView, { relay }: World): boolean {
  const { identity, evacuation } = report ?? {};
  return (
    identity?.uid === uid &&
    evacuation?.state === 'Emptied' &&
    evacuation.order === scaleOrder(relay.metadata)
  );
}

/** Without a volume, and without a word on where its contents come from, such as a snapshot: never used. */
function isUnbound(claim: KubeObject): boolean {
  const { phase } = (claim['status'] ?? {}) as { phase?: string };
  const { volumeName, selector, dataSource, dataSourceRef } = (claim['spec'] ?? {}) as Record<
    string,
    unknown
  >;
  return phase === 'Pending' && !(volumeName || selector || dataSource || dataSourceRef);
}

/** A pod without a claim of its own has its mail in itself, or none at all in mode CutThrough. */
function mayHaveMail(pod: PodView, world: World): boolean {
  if (isCutThrough(world.relay) || pod.deleting) return false;
  return findClaim(world, pod) === undefined && !saysEmptied(pod, world);
}

/** By their names: a copy that somebody made carries our labels, and is not ours. Without a queue there are none. */
function listClaims({ objects, relay }: World): KubeObject[] {
  if (isCutThrough(relay)) return [];
  const prefix = objectNames.claim(relay.metadata.name);
  return [...objects.values()].filter(
    ({ kind, metadata }) => kind === 'PersistentVolumeClaim' && isNumbered(metadata.name, prefix),
  );
}

/** Claims of its name are left from an earlier relay, and nothing in the pods can empty them: they are let alone. */
function isCutThrough({ spec }: World['relay']): boolean {
  return spec.queue?.mode === 'CutThrough';
}

function findClaim(world: World, pod: PodView): KubeObject | undefined {
  return listClaims(world).find(({ metadata }) => parseOrdinal(metadata.name) === parseOrdinal(pod.name));
}

function findPod({ leaving }: World, { metadata }: KubeObject): PodView | undefined {
  return leaving.find(({ name }) => parseOrdinal(name) === parseOrdinal(metadata.name));
}

function readMark({ metadata }: KubeObject): string | undefined {
  return metadata.annotations?.[ANNOTATIONS.emptied];
}
