/**
 * The TLS of the deliveries of a relay in the last seven days, and the destinations whose mail would wait at each
 * stricter level. Part of podstatus.ts. Also the text of it for the status of the MailRelay and for `mailrelay status`.
 * Pure.
 */
import { z } from 'zod';
import { FAILURE_CAUSES } from './failure.ts';
import { STRICTER_LEVELS } from './tlslevel.ts';

/**
 * The facts that are counted of each delivery, in the order of the labels of the metric. level: the strictest level
 * that the delivery met, whatever level the spec has. verifiedBy: the proof of the identity of the next hop. fellBack:
 * why the delivery went in plain text although TLS was wanted.
 */
export const OUTBOUND_FACTS = ['level', 'version', 'group', 'verifiedBy', 'fellBack'] as const;

/** So many destinations a relay keeps for each level. Where it has more, those that were unseen longest are not counted. */
export const MOST_DESTINATIONS = 1_000;

const count = () => z.int().min(0).max(2_147_483_647);
const shares = () => z.array(z.object({ value: z.string().max(64), count: count() })).max(64);

export const outboundPosture = z.object({
  deliveries: count(),
  level: shares(),
  version: shares(),
  group: shares(),
  verifiedBy: shares(),
  fellBack: shares(),
  /** A level that was never judged is absent, such as Dane where DANE is not looked up. */
  wouldWait: z
    .array(
      z.object({
        level: z.enum(STRICTER_LEVELS),
        destinations: count(),
        /** The destinations, the latest first. */
        list: z
          .array(
            z.object({
              destination: z.string().max(256),
              cause: z.enum(FAILURE_CAUSES).optional().catch(undefined),
              message: z.string().max(1024),
              /** RFC 3339, UTC, whole hours. */
              lastSeen: z.string().max(64),
            }),
          )
          .max(16),
      }),
    )
    .max(8),
});

export type OutboundPosture = z.infer<typeof outboundPosture>;
type Fact = (typeof OUTBOUND_FACTS)[number];

/** Adds up the shares of several pods. */
export function sumShares(pods: readonly OutboundPosture[], fact: Fact): OutboundPosture[Fact] {
  const counts = new Map<string, number>();
  for (const { value, count: many } of pods.flatMap((pod) => pod[fact]))
    counts.set(value, (counts.get(value) ?? 0) + many);
  return [...counts]
    .map(([value, many]) => ({ value, count: many }))
    .toSorted((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1));
}

/** "TLSv1.3 97%, none 3%", with at most six values. A share is 100% or 0% only if that is exact. */
export function describeShares(found: OutboundPosture[Fact]): string {
  const all = found.reduce((sum, { count: many }) => sum + many, 0);
  return found
    .slice(0, 6)
    .map(({ value, count: many }) => `${value} ${percent(many, all)}`)
    .join(', ');
}

function percent(part: number, all: number): string {
  if (part === all) return '100%';
  return `${Math.min(99, Math.max(1, Math.round((100 * part) / all)))}%`;
}
