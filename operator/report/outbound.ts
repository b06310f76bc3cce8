/**
 * How the deliveries of all pods were protected, for the status of the MailRelay: shares in whole per cents, and for each
 * stricter level the destinations whose mail it would make wait. A destination may have been served by every pod, so
 * counts of destinations are those of the pod with the most. Pure.
 */
import { describeShares, type OutboundPosture, sumShares } from '#crds/outboundposture.ts';
import type { MailRelayStatus } from '#crds/status.ts';
import { STRICTER_LEVELS, type StricterLevel } from '#crds/tlslevel.ts';
import { coarse, quoted } from '../judge/words.ts';

const NAMED = 10;

type Outbound = NonNullable<MailRelayStatus['outbound']>;
type Waiting = OutboundPosture['wouldWait'][number];

/** Undefined before the first delivery. */
export function renderOutbound(pods: readonly OutboundPosture[]): Outbound | undefined {
  const deliveries = pods.reduce((all, one) => all + one.deliveries, 0);
  if (deliveries === 0) return undefined;
  const shares = (fact: Parameters<typeof sumShares>[1]) => describeShares(sumShares(pods, fact));
  return {
    deliveries: coarse(deliveries),
    level: shares('level'),
    version: shares('version'),
    group: shares('group'),
    verifiedBy: shares('verifiedBy'),
    fellBack: shares('fellBack'),
    wouldWait: STRICTER_LEVELS.flatMap((level) => renderLevel(level, pods)),
  };
}

function renderLevel(level: StricterLevel, pods: readonly OutboundPosture[]) {
  const judged = pods.flatMap(({ wouldWait }) => wouldWait.filter((one) => one.level === level));
  if (judged.length === 0) return [];
  const count = Math.max(...judged.map(({ destinations }) => destinations));
  const names = nameDestinations(judged.flatMap(({ list }) => list));
  const destinations = coarse(Math.max(count, names.length));
  return [{ level, destinations, ...(names.length > 0 ? { latest: names } : {}) }];
}

/** Each once, the latest first, in an order that changes once an hour at most: another order is a write. */
function nameDestinations(list: Waiting['list']): string[] {
  const latest = list.toSorted(
    (a, b) => compare(b.lastSeen, a.lastSeen) || compare(a.destination, b.destination),
  );
  const reasons = new Map<string, string>();
  for (const { destination, message } of latest)
    if (!reasons.has(destination)) reasons.set(destination, message);
  return [...reasons]
    .slice(0, NAMED)
    .map(([destination, message]) => quoted(`${destination}: ${message}`, 400));
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
