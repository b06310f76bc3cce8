/**
 * Which retry schedule holds for a destination, and until when it is tried. What the spec says of its route goes before
 * what it says of its provider, and both before the schedule of the relay (schedule.ts) and queue.expireAfter. Pure.
 */
import type { Policy, Provider, Retry } from '#crds/policyfile.ts';
import type { Destination } from '../delivery/courier.ts';
import { listPauses, USUAL_BACKOFF } from './schedule.ts';

const USUAL: Retry = { backoff: null, expireAfterSeconds: null };

/** null in a field: as for all other destinations. */
export function chooseRetry(route: Retry | undefined, provider: Retry | null | undefined): Retry {
  if (!provider) return route ?? USUAL;
  if (!route) return provider;
  return {
    backoff: route.backoff ?? provider.backoff,
    expireAfterSeconds: route.expireAfterSeconds ?? provider.expireAfterSeconds,
  };
}

/** The age at which the first message may expire, whatever its destination. */
export function findShortestExpiry({ queue, outbound: { routes, providers } }: Policy): number {
  const own = [...routes, ...providers].flatMap(({ retry }) => retry?.expireAfterSeconds ?? []);
  return Math.min(queue.expireAfterSeconds, ...own);
}

/** The schedule of a destination, for people. */
export interface Schedule {
  /** The growing pauses. The last one is repeated. */
  readonly pausesSeconds: readonly number[];
  /** The part of the spec that sets them. null: the relay. */
  readonly rule: string | null;
  readonly expireAfterSeconds: number;
  readonly expiryRule: string;
}

export function findSchedule(
  { queue }: Policy,
  { rule, retry }: Pick<Destination, 'rule' | 'retry'>,
  provider: Provider | null | undefined,
): Schedule {
  const { backoff, expireAfterSeconds } = chooseRetry(retry, provider?.retry);
  const route = `${rule.replace(/ \(MX\)$/, '')}.retry`;
  const shared = `outbound.providers, ${provider?.name}`;
  return {
    pausesSeconds: listPauses(backoff ?? USUAL_BACKOFF),
    rule: backoff && (retry?.backoff ? route : shared),
    expireAfterSeconds: expireAfterSeconds ?? queue.expireAfterSeconds,
    expiryRule:
      expireAfterSeconds === null ? 'queue.expireAfter' : retry?.expireAfterSeconds ? route : shared,
  };
}
