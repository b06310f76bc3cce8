/** The types of a check and of a finding, which all files of checks use. Pure. */
import type { ReasonName } from '#crds/conditions.ts';
import type { Obstacle, PodView, World } from '../world.ts';

export interface Finding {
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: ReasonName;
  readonly message: string;
}

export interface Judged extends World {
  readonly obstacles: readonly Obstacle[];
}

export type Check = (world: Judged) => Finding | undefined;

export const is = (status: Finding['status'], reason: ReasonName, message: string): Finding => ({
  status,
  reason,
  message,
});

/** Pods that have reported. */
export function reported({ pods }: World): PodView[] {
  return pods.filter(({ report }) => report !== undefined);
}
