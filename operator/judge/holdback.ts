/**
 * What waits while pods or claims of a relay lack the labels by which the caches find them: scaling in, because a queue
 * that is not seen could be lost, and another size of the volumes, because a claim that is not seen would keep its own.
 * Everything else goes on. Pure.
 */
import { parseScale, SCALE_FILE_NAME } from '#crds/scalefile.ts';
import type { KubeObject } from '../kube/client.ts';
import { STATEFUL_SET } from '../kube/kinds.ts';
import { objectNames } from '../render/metadata.ts';
import type { Rendered } from '../render/rendered.ts';
import type { World } from '../world.ts';
import type { Scaling } from './scaling.ts';
import { keepClaims, type StatefulSetSpec } from './storage.ts';

type Observed = Pick<World, 'relay' | 'objects'>;

/** The same plan without a pod or a claim less than there is. */
export function holdScaling({ relay, objects }: Observed, scaling: Scaling): Scaling {
  const set = objects.get(`${STATEFUL_SET.kind}/${relay.metadata.name}`);
  const { replicas: places = 0 } = (set?.['spec'] ?? {}) as { replicas?: number };
  return { ...scaling, replicas: Math.max(scaling.replicas, places), removed: [] };
}

/** The same object with the claims that it has, and without the order to leave for pods that have none yet. */
export function holdObject({ relay, objects }: Observed, wanted: Rendered): Rendered {
  const { kind, metadata } = wanted;
  const live = objects.get(`${kind}/${metadata.name}`);
  if (live && kind === STATEFUL_SET.kind) return hasClaims(live) ? keepClaims(live, wanted) : wanted;
  if (!live || metadata.name !== objectNames.policy(relay.metadata.name)) return wanted;
  const order = (live['data'] as Record<string, string> | undefined)?.[SCALE_FILE_NAME] ?? '';
  const isLess = (parseScale(order)?.replicas ?? 0) > relay.spec.replicas;
  return isLess ? { ...wanted, data: { ...(wanted['data'] as object), [SCALE_FILE_NAME]: order } } : wanted;
}

function hasClaims({ spec }: KubeObject): boolean {
  return (spec as Partial<StatefulSetSpec> | undefined)?.volumeClaimTemplates !== undefined;
}
