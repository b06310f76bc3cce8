/**
 * The evacuation of a pod that is no longer wanted, in this order: announced (it serves on while its clients
 * learn of it); handing over, its queue to its siblings, or delivering it, where there is no sibling or nothing to
 * prove itself by; emptied, when its disk has nothing left and nobody is left who could write to it. Pure.
 */
import type { PodStatus } from '#crds/podstatus.ts';
import { isBeyond, type Scale } from '#crds/scalefile.ts';
import { type Handover, handoverTo, type PairText, type QueueFigures } from '../task/messages.ts';

export interface Evacuation {
  /** null: the queue is delivered. */
  readonly handover: Handover | null;
  /** Why it is delivered and not handed over. */
  readonly why: string | null;
}

/** In a pod: its own name, and the port at which its siblings take over queues. */
export interface AmongSiblings {
  readonly podName: string;
  readonly port: number;
}

/** null: it stays. */
export function planEvacuation(
  scale: Scale | undefined,
  among: AmongSiblings | undefined,
  pair: PairText | null,
): Evacuation | null {
  if (!scale || !among || !isBeyond(among.podName, scale.replicas)) return null;
  if (scale.siblings.length === 0) return { handover: null, why: 'no pod stays that could take the queue' };
  if (!pair) return { handover: null, why: 'without a certificate no sibling takes the queue' };
  const siblings = scale.siblings.map((host) => ({ host, port: among.port }));
  return { handover: { siblings, pair }, why: null };
}

export function describeEvacuation(
  evacuation: Evacuation | null,
  queue: QueueFigures,
  isEmptied: boolean,
): PodStatus['evacuation'] {
  if (!evacuation) return null;
  if (isEmptied) return { state: 'Emptied', message: null };
  if (!evacuation.handover) return { state: 'Delivering', message: evacuation.why };
  // Those of the router, which delivers until the giver takes its place, are another matter.
  const siblings = new Set(evacuation.handover.siblings.map(({ host }) => handoverTo(host)));
  const fault = queue.deferrals.find(({ destination }) => siblings.has(destination));
  return { state: 'HandingOver', message: fault ? `${fault.destination}: ${fault.message}` : null };
}
