/**
 * Next hops that could not be had a moment ago, and which of their addresses were tried: for a while they are tried
 * after all others, so that a dead one costs its time-out once and not with every message. Where no hop of a destination
 * answers, the one that was tried longest ago comes first, so that all have their turn. Those that refuse our login are
 * remembered until they take it. No clock of its own.
 */

import { describeFailure, type Failure } from '#crds/failure.ts';
import type { LoginsRefused } from '../task/messages.ts';
import type { NextHop } from './courier.ts';

const TRIED_LAST_MS = 60_000;
/** Hosts of MX records are many: beyond this the oldest are forgotten. */
const REMEMBERED = 1_000;

interface Failed {
  readonly hop: NextHop;
  readonly failure: Failure;
  readonly addresses: ReadonlySet<string>;
  readonly at: number;
}

export class FailedHops {
  readonly #clock: () => number;
  /** The one that was tried longest ago first. */
  readonly #failed = new Map<string, Failed>();
  /** When hops answered last, the longest ago first. */
  readonly #answered = new Map<string, number>();

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  failed(hop: NextHop, failure: Failure, addresses: readonly string[]): void {
    const key = keyOf(hop);
    const before = this.#failed.get(key)?.addresses ?? [];
    this.#failed.delete(key);
    const at = this.#clock();
    this.#failed.set(key, { hop, failure, addresses: new Set([...before, ...addresses]), at });
    forgetOldest(this.#failed);
  }

  answered(hop: NextHop): void {
    const key = keyOf(hop);
    this.#failed.delete(key);
    this.#answered.delete(key);
    this.#answered.set(key, this.#clock());
    forgetOldest(this.#answered);
  }

  /** What made these fail may be mended: they have their old place again. */
  forgive(which: (hop: NextHop) => boolean): void {
    for (const [key, { hop }] of this.#failed) if (which(hop)) this.#failed.delete(key);
  }

  /** Addresses that were tried in vain; empty once all of `known` were, so that they have their turn again. */
  tried(hop: NextHop, known: readonly string[]): ReadonlySet<string> {
    const tried = this.#failed.get(keyOf(hop))?.addresses ?? new Set();
    return known.every((address) => tried.has(address)) ? new Set() : tried;
  }

  /**
   * In the same order, but for those that failed, which come last: for a minute, and longer while no other hop of these
   * has answered since.
   */
  order(hops: readonly NextHop[]): NextHop[] {
    const now = this.#clock();
    const failedAt = (hop: NextHop) => this.#failed.get(keyOf(hop))?.at ?? Number.NEGATIVE_INFINITY;
    const lastAnswer = Math.max(
      ...hops.map((hop) => this.#answered.get(keyOf(hop)) ?? Number.NEGATIVE_INFINITY),
    );
    const isLast = (hop: NextHop) =>
      this.#failed.has(keyOf(hop)) && (failedAt(hop) > now - TRIED_LAST_MS || failedAt(hop) >= lastAnswer);
    const last = hops.filter(isLast).toSorted((a, b) => failedAt(a) - failedAt(b));
    return [...hops.filter((hop) => !isLast(hop)), ...last];
  }

  /** Those that refuse our login. */
  refusals(): LoginsRefused {
    return [...this.#failed.values()]
      .filter(({ failure }) => failure.cause === 'login')
      .map(({ hop, failure }) => ({
        destination: `${hop.host}:${hop.port}`,
        message: describeFailure(failure),
      }));
  }
}

function keyOf({ host, port, credentialsSecret }: NextHop): string {
  return `${host}:${port} ${credentialsSecret ?? ''}`;
}

function forgetOldest(remembered: Map<string, unknown>): void {
  const [oldest] = remembered.keys();
  if (remembered.size > REMEMBERED && oldest !== undefined) remembered.delete(oldest);
}
