/**
 * The clock of the API server, by the dates of its answers. Times in objects and events are by it or near it, and what one
 * leader has noted is read by the next one on another node. The own clock may be hours apart. Several API servers may be
 * apart too, and dates have whole seconds: the time must not jump from answer to answer. So an answer that differs counts
 * only if it is nearer to the own clock, or if for a while none was as before. Pure.
 */

/** Less harms no judgement. */
const APART_MS = 30_000;
/** For so long what an answer has told stands. The leader and those that wait ask more often. */
const STANDS_MS = 60_000;
/** The date of an answer that took longer is old. */
const SLOW_MS = 10_000;

export interface OwnClocks {
  /** Milliseconds since the epoch. */
  readonly wall: () => number;
  readonly monotonic: () => number;
}

export class ServerClock {
  readonly #own: OwnClocks;
  /** How far the clock of the server is before ours. */
  #aheadMs = 0;
  /** When an answer told so last, on the monotonic clock. */
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(own: OwnClocks) {
    this.#own = own;
  }

  /** Milliseconds since the epoch. */
  now(): number {
    return this.#own.wall() + this.#aheadMs;
  }

  /** Takes the date of an answer to a request that was begun then, on the monotonic clock. */
  hear(date: string | string[] | undefined, begunAt: number): void {
    const aheadMs = Date.parse(String(date)) - this.#own.wall();
    const now = this.#own.monotonic();
    if (Number.isNaN(aheadMs) || now - begunAt > SLOW_MS) return;
    const isAsBefore = Math.abs(aheadMs - this.#aheadMs) < APART_MS;
    const isNearer = Math.abs(aheadMs) < Math.abs(this.#aheadMs);
    if (!isAsBefore && !isNearer && now - this.#toldAt < STANDS_MS) return;
    this.#toldAt = now;
    if (!isAsBefore) this.#aheadMs = Math.abs(aheadMs) < APART_MS ? 0 : aheadMs;
  }
}
