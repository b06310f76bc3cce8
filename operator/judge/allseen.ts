/**
 * Whether all pods of a relay are seen: each that is wanted, and each that the StatefulSet counts; and whether all objects are
 * known by which a step is judged that cannot be taken back (lacking.ts). Such a step waits for this, because a pod that is not
 * seen may still need what was before. Pure.
 */
import { parseOrdinal } from '#crds/scalefile.ts';
import type { KubeObject } from '../kube/client.ts';
import { STATEFUL_SET } from '../kube/kinds.ts';
import type { World } from '../world.ts';

type Seen = Pick<World, 'relay' | 'objects' | 'pods' | 'leaving' | 'strangers' | 'lacking'>;

export interface SetStatus {
  readonly replicas?: number;
  readonly observedGeneration?: number;
}

/** The places that the StatefulSet has for pods. */
export function countPlaces(set: KubeObject | undefined): number {
  return ((set?.['spec'] ?? {}) as { replicas?: number }).replicas ?? 0;
}

/** False for an object of which nobody knows what it is, or whether it is there. */
export function isRead({ lacking }: Pick<World, 'lacking'>, object: string): boolean {
  return !lacking?.unread.some((one) => one.object === object);
}

export function areAllSeen(world: Seen): boolean {
  const { relay, pods, leaving, lacking } = world;
  const isEachThere =
    pods.length >= relay.spec.replicas && pods.length + leaving.length >= countCounted(world);
  return isEachThere && listDoubtful(world).length === 0 && !lacking?.unread.length;
}

/**
 * The strangers that may be pods of the relay that lack their marks: those in its places. Without the StatefulSet nobody
 * knows how many places there are.
 */
export function listDoubtful(world: Seen): readonly KubeObject[] {
  const { relay, strangers = [] } = world;
  const set = findSet(world);
  if (!set) return strangers;
  const places = Math.max(relay.spec.replicas, countPlaces(set), countCounted(world));
  return strangers.filter(({ metadata }) => parseOrdinal(metadata.name) < places);
}

function countCounted(world: Seen): number {
  const { replicas = 0 } = (findSet(world)?.['status'] ?? {}) as SetStatus;
  return replicas;
}

const findSet = ({ relay, objects }: Seen) => objects.get(`${STATEFUL_SET.kind}/${relay.metadata.name}`);
