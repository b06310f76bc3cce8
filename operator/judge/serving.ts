/**
 * Decides to which pods Services send clients: the wanted ones. A label takes a pod that leaves out of Services and
 * disruption budget before the pod is told to leave. A pod that comes back gets the label again when it reports that it
 * listens. Pure.
 */
import type { PodView, World } from '../world.ts';

export interface Relabelled {
  readonly pod: PodView;
  readonly serving: 'true' | 'false';
}

/** Pods whose label must change, with the new value. */
export function relabelled({ pods, leaving }: World): Relabelled[] {
  const wanted: Relabelled[] = [
    ...pods.map((pod) => ({ pod, serving: comesBack(pod) ? ('false' as const) : ('true' as const) })),
    ...leaving.map((pod) => ({ pod, serving: 'false' as const })),
  ];
  return wanted.filter(({ pod, serving }) => pod.serving !== serving && !pod.deleting);
}

/** True if the pod comes back and does not listen yet. Its readiness does not show that: it is ready all the time. */
function comesBack({ serving, report }: PodView): boolean {
  return serving === 'false' && report?.evacuation !== null;
}
