/** How long to wait before a dead task is started again: short at first, ten seconds at most. Pure. */
const FIRST_MS = 100;
const LAST_MS = 10_000;
/** After this lifetime the task was healthy, so its death counts as the first one again. */
const WELL_AFTER_MS = 60_000;

export class Backoff {
  #deaths = 0;

  /** The wait in milliseconds. `livedMs`: how long the task lived. */
  afterDeath(livedMs: number): number {
    this.#deaths = livedMs >= WELL_AFTER_MS ? 1 : this.#deaths + 1;
    return Math.min(FIRST_MS * 2 ** (this.#deaths - 1), LAST_MS);
  }
}
