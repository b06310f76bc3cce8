/**
 * When the deliveries to each destination began in the last minute, so that no minute has more than its limit. Separate
 * from the queues, which exist only while messages wait. Bounded by the deliveries of one minute. This file has no
 * clock of its own.
 */
const MINUTE_MS = 60_000;

export class Paces {
  /** By destination key, the key that was used least recently first. The times of each key are sorted, oldest first. */
  readonly #begun = new Map<string, number[]>();

  /** `now`, or the time when the next delivery may begin. */
  allowsAt(key: string, perMinute: number, now: number): number {
    const begun = this.#begun.get(key)?.filter((at) => at > now - MINUTE_MS) ?? [];
    const oldest = begun.at(-perMinute);
    return oldest === undefined ? now : oldest + MINUTE_MS;
  }

  began(key: string, perMinute: number, now: number): void {
    const begun = this.#begun.get(key) ?? [];
    begun.push(now);
    this.#begun.delete(key);
    this.#begun.set(key, begun.slice(-perMinute));
    for (const [oldest, times] of this.#begun) {
      if ((times.at(-1) ?? 0) > now - MINUTE_MS) break;
      this.#begun.delete(oldest);
    }
  }
}
