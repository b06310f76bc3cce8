/**
 * The evacuation of a pod that is no longer wanted. The states follow in this order. Announced: the pod still serves
 * while its clients learn of the evacuation. HandingOver: its siblings take its queue. Delivering: it delivers the
 * queue itself, because there is no sibling or no certificate. Emptied: its disk is empty and no process can write to
 * it. Pure.
 */
import type { PodStatus } from '#crds/podstatus.ts';
import { isBeyond, type Scale } from '#crds/scalefile.ts';
import { type Handover, handoverTo, type PairText, type QueueFigures } from '../task/messages.ts';

export interface Evacuation {
  /** null: the pod delivers its queue. */
  readonly handover: Handover | null;
  /** Why the pod delivers its queue instead of handing it over. */
  readonly why: string | null;
}

/** Only in a pod: its own name, and the port at which its siblings receive queues. */
export interface AmongSiblings {
  readonly podName: string;
  readonly port: number;
}

/** null: the pod stays. */
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
  // Only failures of the hand-over count. The router may still report failed deliveries until the giver replaces it.
  const siblings = new Set(evacuation.handover.siblings.map(({ host }) => handoverTo(host)));
  const fault = queue.deferrals.find(({ destination }) => siblings.has(destination));
  return { state: 'HandingOver', message: fault ? `${fault.destination}: ${fault.message}` : null };
}
