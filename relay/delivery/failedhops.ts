/**
 * Next hops that could not be had a moment ago: for a while they are tried after all others, so that a dead one costs
 * its time-out once and not with every message. Those that refuse our login are remembered until they take it, whether
 * another hop took the mail or not. No clock of its own.
 */

import { describeFailure, type Failure } from '#crds/failure.ts';
import type { NextHop } from './courier.ts';

const TRIED_LAST_MS = 60_000;
/** Hosts of MX records are many: beyond this the oldest are forgotten. */
const REMEMBERED = 1_000;

interface Failed {
  readonly hop: string;
  readonly failure: Failure;
  /** Until when it is tried last. */
  readonly until: number;
}

export class FailedHops {
  readonly #clock: () => number;
  /** The oldest first. */
  readonly #failed = new Map<string, Failed>();

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  failed(hop: NextHop, failure: Failure): void {
    const key = keyOf(hop);
    this.#failed.delete(key);
    const until = this.#clock() + TRIED_LAST_MS;
    this.#failed.set(key, { hop: `${hop.host}:${hop.port}`, failure, until });
    const [oldest] = this.#failed.keys();
    if (this.#failed.size > REMEMBERED && oldest !== undefined) this.#failed.delete(oldest);
  }

  answered(hop: NextHop): void {
    this.#failed.delete(keyOf(hop));
  }

  /** What made them fail may be mended: they have their old place again. */
  forgive(): void {
    this.#failed.clear();
  }

  /** In the same order, but for those that failed, which come last. */
  last(hops: readonly NextHop[]): NextHop[] {
    const now = this.#clock();
    const isTriedLast = (hop: NextHop) => (this.#failed.get(keyOf(hop))?.until ?? 0) > now;
    return [...hops.filter((hop) => !isTriedLast(hop)), ...hops.filter(isTriedLast)];
  }

  /** Those that refuse our login. */
  refusals(): { readonly destination: string; readonly message: string }[] {
    return [...this.#failed.values()]
      .filter(({ failure }) => failure.cause === 'login')
      .map(({ hop, failure }) => ({ destination: hop, message: describeFailure(failure) }));
  }
}

function keyOf({ host, port, credentialsSecret }: NextHop): string {
  return `${host}:${port} ${credentialsSecret ?? ''}`;
}
