/**
 * Plans how a relay gets smaller without losing mail. A pod whose ordinal is not below the replicas leaves. The
 * StatefulSet keeps its place until exactly this pod reports an empty disk under the current order. Then its claim gets
 * a mark: the uid of the pod. Only a claim with the mark of the last pod that used it is removed. A claim without a
 * mark may have mail, so its pod is brought back and leaves again. The mark is removed before a pod is wanted again.
 * place.ts says which places may have mail. Pure; claims.ts writes the plan.
 */
import type { KubeObject } from '../kube/client.ts';
import { objectNames } from '../render/metadata.ts';
import type { PodView, World } from '../world.ts';
import { countPlaces } from './allseen.ts';
import { type Check, is } from './finding.ts';
import {
  hasTaken,
  isGoing,
  isOwnClaim,
  isUnbound,
  listPlaces,
  mayHaveMail,
  NEVER_BOUND,
  type Place,
  readMark,
  saysEmptied,
} from './place.ts';
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

export function planScaling(world: World): Scaling {
  const { relay } = world;
  const { replicas: wanted } = relay.spec;
  const places = listPlaces(world);
  const beyond = places.filter(({ ordinal }) => ordinal >= wanted);
  const withMail = beyond.filter((place) => mayHaveMail(place, relay));
  const replicas = Math.max(wanted, ...withMail.map(({ ordinal }) => ordinal + 1));
  return {
    replicas,
    unmarked: places.flatMap((place) =>
      place.claim && place.ordinal < wanted && isMarkStale(place.claim, place) ? [place.claim] : [],
    ),
    marked: beyond.flatMap(({ pod, claim }) => {
      const proof = claim && proveEmpty(relay, claim, pod);
      return claim && proof !== undefined && proof !== readMark(claim) ? [{ claim, proof }] : [];
    }),
    removed: beyond.flatMap((place) =>
      place.claim && isRemovable(place.claim, place, world, replicas) ? [place.claim] : [],
    ),
  };
}

/**
 * True for the mark of a claim whose pod is wanted again. On a claim that is going, and that no pod writes to, the mark stays:
 * it says that nothing is lost.
 */
function isMarkStale(claim: KubeObject, { pod }: Place): boolean {
  return readMark(claim) !== undefined && (!isGoing(claim) || hasTaken(pod));
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
export const scaleInWaits: Check = ({ leaving, relay }) => {
  const [stuck] = leaving.flatMap((pod) => {
    const why = whyItWaits(pod);
    return why === undefined ? [] : [{ pod, why }];
  });
  if (!stuck) return undefined;
  const text = `Pod ${stuck.pod.name} stays until its queue is empty: ${stuck.why}`;
  const cure = `see why its mail waits, or raise replicas again${giveUp(stuck.pod, relay)}`;
  return is('True', 'ScaleInWaits', `${text}: ${cure}`);
};

/** How a person gives up the mail of a pod that nobody can ask. One that has run keeps its place while it is there. */
function giveUp({ name, report, hasRun }: PodView, { metadata }: World['relay']): string {
  if (report) return '';
  const objects = `pvc/${objectNames.claim(name)}${hasRun ? ` pod/${name}` : ''}`;
  return `, or give its mail up: kubectl delete -n ${metadata.namespace} ${objects}`;
}

function whyItWaits({ report, ip, hasRun, stranger, trouble }: PodView): string | undefined {
  if (stranger !== undefined) return `${stranger} answers at its address`;
  if (!report && trouble) return trouble.message;
  if (!report && !hasRun) return 'it does not start, and its claim may hold mail';
  if (!report) return ip === undefined ? 'it has no address now, and its disk may hold mail' : undefined;
  if (report.evacuation === undefined || !report.identity)
    return `version ${report.version} cannot hand it over, so the pod must be replaced by a newer one`;
  const { held, depth } = report.queue;
  if (report.evacuation?.state === 'HandingOver' && held > 0 && depth === 0)
    return 'it has damaged entries, which a person can remove by the queue tools after replicas is raised again';
  return report.evacuation?.message ?? undefined;
}

function isRemovable(claim: KubeObject, place: Place, { relay, objects }: World, replicas: number): boolean {
  const { ordinal, pod } = place;
  const set = objects.get(`StatefulSet/${relay.metadata.name}`);
  return (
    ordinal >= replicas &&
    ordinal >= countPlaces(set) &&
    isOwnClaim(claim, relay.metadata.name) &&
    !mayHaveMail(place, relay) &&
    (pod === undefined || pod.deleting) &&
    !isGoing(claim)
  );
}

/**
 * The proof that a claim has no mail: the report of its pod, or the fact that the pod waits for the first volume of the
 * claim.
 */
function proveEmpty(relay: World['relay'], claim: KubeObject, pod: PodView | undefined): string | undefined {
  if (!pod) return undefined;
  if (saysEmptied(pod, relay)) return pod.uid;
  return isUnbound(claim) && !pod.hasRun ? NEVER_BOUND : undefined;
}
