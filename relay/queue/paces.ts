/**
 * When deliveries began, so that no window of time has more of them than its rate. Separate from the queues, which exist
 * only while messages wait. Bounded by the rates. This file has no clock of its own.
 */

/** At most `most` deliveries begin in any window of this length. */
export interface Rate {
  readonly most: number;
  readonly windowMs: number;
}

export const MINUTE_MS = 60_000;

export class Pace {
  /** Sorted, oldest first. */
  #begun: number[] = [];

  /** `now`, or the time when the next delivery may begin. */
  allowsAt({ most, windowMs }: Rate, now: number): number {
    const begun = this.#begun.at(-most);
    return begun === undefined ? now : Math.max(now, begun + windowMs);
  }

  /** `most`: as many beginnings as the rates need. */
  began(most: number, now: number): void {
    this.#begun.push(now);
    // Cut seldom, because each cut copies the list.
    if (this.#begun.length > 2 * most) this.#begun = this.#begun.slice(-most);
  }

  /** Forgets a beginning at this time. Few are remembered, and it is one of the last. */
  giveBack(at: number): void {
    const index = this.#begun.lastIndexOf(at);
    if (index !== -1) this.#begun.splice(index, 1);
  }

  /** True if nothing began in the last minute. */
  isOver(now: number): boolean {
    return (this.#begun.at(-1) ?? 0) <= now - MINUTE_MS;
  }
}

/** The paces of destinations. */
export class Paces {
  /** By destination key, the key that was used least recently first. */
  readonly #paces = new Map<string, Pace>();

  allowsAt(key: string, perMinute: number, now: number): number {
    return this.#paces.get(key)?.allowsAt({ most: perMinute, windowMs: MINUTE_MS }, now) ?? now;
  }

  giveBack(key: string, at: number): void {
    this.#paces.get(key)?.giveBack(at);
  }

  began(key: string, perMinute: number, now: number): void {
    const pace = this.#paces.get(key) ?? new Pace();
    pace.began(perMinute, now);
    this.#paces.delete(key);
    this.#paces.set(key, pace);
    for (const [oldest, one] of this.#paces) {
      if (!one.isOver(now)) break;
      this.#paces.delete(oldest);
    }
  }
}
