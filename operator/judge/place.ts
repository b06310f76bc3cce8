/**
 * The places of a relay, and which of them may have mail. A place is what has one number: a pod, a claim, or both. One rule
 * says when a place may be given up. A pod that has run keeps its place until it has said that it is empty, whatever becomes of
 * its claim: with its end its mail would go. Its word counts for good once it is on the claim, as a mark. A claim without a pod
 * that has run is mail too, unless it has a mark, or is being deleted: then it was found empty, or a person gave it up. Pure.
 */
import { isNumbered, parseOrdinal, scaleOrder } from '#crds/scalefile.ts';
import { ANNOTATIONS, FIELD_MANAGER, selectorLabels } from '#crds/wellknown.ts';
import type { KubeObject } from '../kube/client.ts';
import { CLAIM } from '../kube/kinds.ts';
import { objectNames } from '../render/metadata.ts';
import type { PodView, World } from '../world.ts';

export interface Place {
  readonly ordinal: number;
  readonly pod: PodView | undefined;
  readonly claim: KubeObject | undefined;
  /** A pod that is not of the relay has the name, and may use the claim. Then no mark counts. */
  readonly isTaken: boolean;
}

type Observed = Pick<World, 'relay' | 'objects' | 'pods' | 'leaving' | 'strangers'>;

const [APP, INSTANCE, MANAGED] = [
  'app.kubernetes.io/name',
  'app.kubernetes.io/instance',
  'app.kubernetes.io/managed-by',
];

/** The mark of a claim that has never had a volume. It no longer counts when the claim has a volume. */
export const NEVER_BOUND = 'never-bound';

/** By ordinal. In mode CutThrough there are none: no pod has a queue. */
export function listPlaces(world: Observed): Place[] {
  if (isCutThrough(world.relay)) return [];
  const claims = new Map(listClaims(world).map((claim) => [parseOrdinal(claim.metadata.name), claim]));
  const pods = new Map([...world.pods, ...world.leaving].map((pod) => [parseOrdinal(pod.name), pod]));
  const taken = new Set(world.strangers?.map(({ metadata }) => parseOrdinal(metadata.name)));
  return [...new Set([...claims.keys(), ...pods.keys()])]
    .toSorted((a, b) => a - b)
    .map((ordinal) => ({
      ordinal,
      pod: pods.get(ordinal),
      claim: claims.get(ordinal),
      isTaken: taken.has(ordinal),
    }));
}

/** True if the place must not be given up. */
export function mayHaveMail({ pod, claim, isTaken }: Place, relay: World['relay']): boolean {
  // One that the caches lack holds its place too (labels.ts). Without any, a pod that has not run, or is ending, has nothing to keep.
  if (!claim) return hasTaken(pod) && !saysEmptied(pod, relay);
  if (isTaken) return true;
  if (isGoing(claim) && !hasTaken(pod)) return false;
  const mark = readMark(claim);
  if (mark === NEVER_BOUND) return !isUnbound(claim);
  return mark === undefined || (pod !== undefined && (pod.uid !== mark || tellsOfMail(pod)));
}

const tellsOfMail = ({ report }: PodView) => (report?.queue.depth ?? 0) > 0;

/** True if the end of the pod, whenever it comes, takes mail with it: nobody has found its claim empty, and that is going. */
export function losesMail({ pod, claim }: Place): boolean {
  if (!claim || !isGoing(claim)) return false;
  const mark = readMark(claim);
  return mark === undefined || (hasTaken(pod) && pod.uid !== mark);
}

/** True if the pod may have taken mail, and is not ending. It may have no address for now, as after a start of its node. */
export function hasTaken(pod: PodView | undefined): pod is PodView {
  return pod?.hasRun === true && !pod.deleting;
}

export function isGoing({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined;
}

export function readMark({ metadata }: KubeObject): string | undefined {
  return metadata.annotations?.[ANNOTATIONS.emptied];
}

/** True if the pod reports an empty disk under the current order. A report without identity or order proves nothing. */
export function saysEmptied({ report, uid }: PodView, relay: World['relay']): boolean {
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

/** The claims by their names, because a copy that somebody made has our labels too. */
function listClaims({ objects, relay }: Observed): KubeObject[] {
  const prefix = objectNames.claim(relay.metadata.name);
  return [...objects.values()].filter(
    ({ kind, metadata }) => kind === CLAIM.kind && isNumbered(metadata.name, prefix),
  );
}

/**
 * True if the claim still bears something of ours: a note, or a label that no other application would give it. A name alone is
 * nobody's: such a claim is not labelled, marked or deleted.
 */
export function isOwnClaim(
  { metadata: { labels = {}, annotations = {} } }: KubeObject,
  relay: string,
): boolean {
  const { [APP]: app, [INSTANCE]: instance } = selectorLabels(relay);
  if (Object.values(ANNOTATIONS).some((note) => note in annotations)) return true;
  if (labels[APP] === app || labels[MANAGED] === FIELD_MANAGER) return true;
  // A release of another chart can have the name of the relay.
  return labels[INSTANCE] === instance && labels[APP] === undefined && labels[MANAGED] === undefined;
}

/** In mode CutThrough, claims of the name are left from an earlier relay. No pod can empty them, so they stay. */
export function isCutThrough({ spec }: World['relay']): boolean {
  return spec.queue?.mode === 'CutThrough';
}
