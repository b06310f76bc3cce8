/**
 * Whether all pods of a relay are seen: each that is wanted, and each that the StatefulSet counts. A step that cannot be taken
 * back waits for this, because a pod that is not seen may still need what was before. Pure.
 */
import { STATEFUL_SET } from '../kube/kinds.ts';
import type { World } from '../world.ts';

type Seen = Pick<World, 'relay' | 'objects' | 'pods' | 'leaving' | 'strangers'>;

export interface SetStatus {
  readonly replicas?: number;
  readonly observedGeneration?: number;
}

/** A stranger that has a name of the relay may be a pod of it that lacks its marks. */
export function areAllSeen({ relay, objects, pods, leaving, strangers = [] }: Seen): boolean {
  const set = objects.get(`${STATEFUL_SET.kind}/${relay.metadata.name}`);
  const { replicas: counted = 0 } = (set?.['status'] ?? {}) as SetStatus;
  const isEachThere = pods.length >= relay.spec.replicas && pods.length + leaving.length >= counted;
  return isEachThere && strangers.length === 0;
}
