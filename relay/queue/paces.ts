/**
 * When deliveries to each destination began in the last minute, so that it gets no more in any minute than it may. Kept
 * apart from the queues, which come and go with what waits. Bounded by what begins in a minute. No clock of its own.
 */
const MINUTE_MS = 60_000;

export class Paces {
  readonly #perMinute: number;
  /** By the key of the destination, the one that was used longest ago first; of each the oldest first. */
  readonly #begun = new Map<string, number[]>();

  constructor(perMinute: number) {
    this.#perMinute = perMinute;
  }

  /** `now`, or when the next delivery may begin. */
  allowsAt(key: string, now: number): number {
    const begun = this.#begun.get(key)?.filter((at) => at > now - MINUTE_MS) ?? [];
    const oldest = begun.at(-this.#perMinute);
    return oldest === undefined ? now : oldest + MINUTE_MS;
  }

  began(key: string, now: number): void {
    const begun = this.#begun.get(key) ?? [];
    begun.push(now);
    this.#begun.delete(key);
    this.#begun.set(key, begun.slice(-this.#perMinute));
    for (const [oldest, times] of this.#begun) {
      if ((times.at(-1) ?? 0) > now - MINUTE_MS) break;
      this.#begun.delete(oldest);
    }
  }
}
