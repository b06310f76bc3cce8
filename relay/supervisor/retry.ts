/**
 * When an order that failed is tried again by itself. Each failure makes the pause longer, up to a minute: a start costs
 * a fork and a look into the spool, and what fails for a moment only (no memory, a port in use) often ends soon.
 */
import { Backoff } from '../task/backoff.ts';

const FIRST_MS = 2_000;
const LAST_MS = 60_000;

export class Retry {
  readonly #clock: () => number;
  readonly #firstMs: number;
  #backoff: Backoff;
  #dueAt: number | undefined;

  constructor(clock: () => number, firstMs = FIRST_MS) {
    this.#clock = clock;
    this.#firstMs = firstMs;
    this.#backoff = this.#fresh();
  }

  isDue(): boolean {
    return this.#dueAt !== undefined && this.#clock() >= this.#dueAt;
  }

  failed(): void {
    this.#dueAt = this.#clock() + this.#backoff.afterDeath(0);
  }

  /** The order succeeded, or there is another one. */
  forget(): void {
    this.#dueAt = undefined;
    this.#backoff = this.#fresh();
  }

  #fresh(): Backoff {
    return new Backoff(this.#firstMs, LAST_MS);
  }
}
