/**
 * Which pods clients are sent to: those that are wanted. One that leaves goes out of Services and budget by its label
 * before it is told to leave; one that comes back comes in again when it says that it has taken up its listeners. Pure.
 */
import type { PodView, World } from '../world.ts';

export interface Relabelled {
  readonly pod: PodView;
  readonly serving: 'true' | 'false';
}

/** Pods whose label is not as it should be. */
export function relabelled({ pods, leaving }: World): Relabelled[] {
  const wanted: Relabelled[] = [
    ...pods.map((pod) => ({ pod, serving: comesBack(pod) ? ('false' as const) : ('true' as const) })),
    ...leaving.map((pod) => ({ pod, serving: 'false' as const })),
  ];
  return wanted.filter(({ pod, serving }) => pod.serving !== serving && !pod.deleting);
}

/** It is ready all the while, though nobody listens. */
function comesBack({ serving, report }: PodView): boolean {
  return serving === 'false' && report?.evacuation !== null;
}
