/**
 * The ids of the entries that a receiver has entered, for as long as a giver may offer one again because no
 * acknowledgement reached it. The router may deliver and remove one within milliseconds, so the store alone cannot tell
 * that it was here. Pure.
 */
import { UNANSWERED_MS } from './entry.ts';

/** The time of a giver begins when it stops to wait for an answer. */
const KEPT_MS = UNANSWERED_MS + 2 * 60_000;
/** Some ten megabytes. */
const AT_MOST = 100_000;

export class Entered {
  readonly #clock: () => number;
  readonly #atMost: number;
  /** Until when each one is kept. Oldest first. */
  readonly #until = new Map<string, number>();

  /** Milliseconds of a monotonic clock. */
  constructor(clock: () => number, atMost = AT_MOST) {
    this.#clock = clock;
    this.#atMost = atMost;
  }

  add(id: string): void {
    this.#until.delete(id);
    this.#until.set(id, this.#clock() + KEPT_MS);
    this.#forgetOld();
  }

  has(id: string): boolean {
    this.#forgetOld();
    return this.#until.has(id);
  }

  get isEmpty(): boolean {
    this.#forgetOld();
    return this.#until.size === 0;
  }

  #forgetOld(): void {
    const now = this.#clock();
    for (const [id, until] of this.#until) {
      if (until > now && this.#until.size <= this.#atMost) return;
      this.#until.delete(id);
    }
  }
}
