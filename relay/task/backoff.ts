/**
 * After a task has died: how long to wait before it is started again, and how patient to be with its successor. Pure.
 */
/** The wait is short at first, ten seconds at most. */
const FIRST_MS = 100;
const LAST_MS = 10_000;
/** After this lifetime the task was healthy, so its death counts as the first one again. */
const WELL_AFTER_MS = 60_000;

export class Backoff {
  readonly #firstMs: number;
  readonly #lastMs: number;
  #deaths = 0;

  constructor(firstMs = FIRST_MS, lastMs = LAST_MS) {
    this.#firstMs = firstMs;
    this.#lastMs = lastMs;
  }

  /** The wait in milliseconds. `livedMs`: how long the task lived. */
  afterDeath(livedMs: number): number {
    this.#deaths = livedMs >= WELL_AFTER_MS ? 1 : this.#deaths + 1;
    return Math.min(this.#firstMs * 2 ** (this.#deaths - 1), this.#lastMs);
  }
}

/** Twenty times: a process may then need ten minutes to be ready. */
const MOST_TIMES = 20;

/**
 * How many times the usual limits a process may be silent. A task that opens a long queue on a slow disk may need longer
 * than the limits allow. If each successor got the same time, none of them would ever finish, so each one gets twice the
 * time of the one before.
 */
export class Patience {
  #times = 1;

  /** For a process that has been ready for so long (milliseconds). A good life ends the patience. */
  timesAfter(readyMs: number): number {
    return readyMs >= WELL_AFTER_MS ? 1 : this.#times;
  }

  /** A process was ended for its silence. */
  afterSilence(readyMs: number): void {
    this.#times = Math.min(2 * this.timesAfter(readyMs), MOST_TIMES);
  }
}
