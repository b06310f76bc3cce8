/** How long to wait before a task that died is started again: short at first, ten seconds at most. Pure. */
const FIRST_MS = 100;
const LAST_MS = 10_000;
/** A task that lived this long was well: its next death is a first one again. */
const WELL_AFTER_MS = 60_000;

export class Backoff {
  #deaths = 0;

  /** Milliseconds to wait, given how long the task lived. */
  afterDeath(livedMs: number): number {
    this.#deaths = livedMs >= WELL_AFTER_MS ? 1 : this.#deaths + 1;
    return Math.min(FIRST_MS * 2 ** (this.#deaths - 1), LAST_MS);
  }
}
