/**
 * Next hops that could not be had a moment ago: for a while they are tried after all others, so that a dead one costs
 * its time-out once and not with every message. No clock of its own.
 */
import type { NextHop } from './courier.ts';

const SHUNNED_MS = 60_000;
/** Hosts of MX records are many: beyond this the oldest are forgotten. */
const REMEMBERED = 1_000;

export class ShunnedHops {
  readonly #clock: () => number;
  /** Until when, by host and port; the oldest first. */
  readonly #until = new Map<string, number>();

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  failed(hop: NextHop): void {
    const key = keyOf(hop);
    this.#until.delete(key);
    this.#until.set(key, this.#clock() + SHUNNED_MS);
    const [oldest] = this.#until.keys();
    if (this.#until.size > REMEMBERED && oldest !== undefined) this.#until.delete(oldest);
  }

  answered(hop: NextHop): void {
    this.#until.delete(keyOf(hop));
  }

  /** In the same order, but for those that failed, which come last. */
  last(hops: readonly NextHop[]): NextHop[] {
    const now = this.#clock();
    const isShunned = (hop: NextHop) => (this.#until.get(keyOf(hop)) ?? 0) > now;
    return [...hops.filter((hop) => !isShunned(hop)), ...hops.filter(isShunned)];
  }
}

function keyOf({ host, port, credentialsSecret }: NextHop): string {
  return `${host}:${port} ${credentialsSecret ?? ''}`;
}
