/**
 * Tells a fault of the store that stays from one that passes. Usually a process has recovered the store within a second,
 * and every process goes on. If this process cannot, it ends, and another one may. Pure.
 */

const LASTING_MS = 5_000;

export class LastingFault {
  readonly #clock: () => number;
  #since: number | undefined;

  /** Milliseconds of a monotonic clock. */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** `fault` is what the store says now. True when it has said so for too long. */
  lasts(fault: string | undefined): boolean {
    if (fault === undefined) this.#since = undefined;
    else this.#since ??= this.#clock();
    return this.#since !== undefined && this.#clock() - this.#since >= LASTING_MS;
  }
}
