/**
 * How much each namespace, or each relay, may use of something that all of them share: so much a second, and more at
 * once after a rest. Whoever uses more waits, and nobody else. Times are of a monotonic clock. Pure.
 */

/** If there are more users than this, those with their whole allowance are forgotten. */
const MOST_USERS = 1_000;

export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

export class Allowance {
  readonly #msEach: number;
  readonly #burstMs: number;
  /** The time at which each user has its whole allowance again. */
  readonly #whole = new Map<string, number>();

  constructor({ perSecond, burst }: Rate) {
    this.#msEach = 1_000 / perSecond;
    this.#burstMs = burst * this.#msEach;
  }

  spend(user: string, amount: number, now: number): void {
    this.#whole.set(user, Math.max(now, this.#whole.get(user) ?? 0) + amount * this.#msEach);
    if (this.#whole.size <= MOST_USERS) return;
    for (const [known, whole] of this.#whole) if (whole <= now) this.#whole.delete(known);
  }

  /** Milliseconds until the user may use more. */
  pauseMs(user: string, now: number): number {
    return Math.max(0, (this.#whole.get(user) ?? 0) - now - this.#burstMs);
  }

  isWhole(user: string, now: number): boolean {
    return (this.#whole.get(user) ?? 0) <= now;
  }
}
