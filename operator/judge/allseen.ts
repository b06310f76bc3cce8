/**
 * Whether all pods of a relay are seen: each that is wanted, and each that the StatefulSet counts; and whether all objects are
 * known by which a step is judged that cannot be taken back (lacking.ts). Such a step waits for this, because a pod that is not
 * seen may still need what was before. Pure.
 */
import { STATEFUL_SET } from '../kube/kinds.ts';
import type { World } from '../world.ts';

type Seen = Pick<World, 'relay' | 'objects' | 'pods' | 'leaving' | 'strangers' | 'lacking'>;

export interface SetStatus {
  readonly replicas?: number;
  readonly observedGeneration?: number;
}

/** False for an object of which nobody knows what it is, or whether it is there. */
export function isRead({ lacking }: Pick<World, 'lacking'>, object: string): boolean {
  return !lacking?.unread.some((one) => one.object === object);
}

/** A stranger that has a name of the relay may be a pod of it that lacks its marks. */
export function areAllSeen({ relay, objects, pods, leaving, strangers = [], lacking }: Seen): boolean {
  const set = objects.get(`${STATEFUL_SET.kind}/${relay.metadata.name}`);
  const { replicas: counted = 0 } = (set?.['status'] ?? {}) as SetStatus;
  const isEachThere = pods.length >= relay.spec.replicas && pods.length + leaving.length >= counted;
  return isEachThere && strangers.length === 0 && !lacking?.unread.length;
}
