/**
 * The age of mail. It must survive a restart, so it is read off the wall clock. Where that clock was stepped, or the machine
 * has slept, mail keeps its true age for as long as the step was: what was received before the step is told from what came
 * after it by its time. So nothing is given up or put off by a clock. This file has no clock of its own.
 */

/** Less than this is no step. */
const STEP_MS = 60_000;

export interface AgeClocks {
  /** Monotonic. It stands still while the machine sleeps. */
  readonly clock: () => number;
  readonly wall: () => number;
}

export class Ages {
  readonly #clocks: AgeClocks;
  /** From the monotonic clock to the wall clock, as it was before the step. */
  #offset: number;
  #steppedAt: number | undefined;

  constructor(clocks: AgeClocks) {
    this.#clocks = clocks;
    this.#offset = clocks.wall() - clocks.clock();
  }

  /** In milliseconds. `receivedAt`: by the wall clock of that time. */
  of(receivedAt: number): number {
    const [now, wall] = [this.#clocks.clock(), this.#clocks.wall()];
    this.#look(now, wall);
    const steady = now + this.#offset;
    const [earlier, later] = steady < wall ? [steady, wall] : [wall, steady];
    // What lies between the two came after a step ahead, or before one back.
    return Math.max(0, (receivedAt > earlier ? later : earlier) - receivedAt);
  }

  #look(now: number, wall: number): void {
    const stepMs = Math.abs(wall - now - this.#offset);
    this.#steppedAt = stepMs < STEP_MS ? undefined : (this.#steppedAt ?? now);
    if (this.#steppedAt !== undefined && now - this.#steppedAt < stepMs) return;
    this.#offset = wall - now;
    this.#steppedAt = undefined;
  }
}
