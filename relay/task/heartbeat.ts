/**
 * Heartbeats. Every two seconds each task process reports that its event loop runs, and how long the disk has not
 * answered a write. While a task recovers the store its event loop is blocked, and each step of the recovery is a sign
 * of life. If a beat is late, the relay is not ready. Later the process is replaced. Time in which the
 * observer itself was stopped does not count, because then the whole machine may have been stopped. Pure: the clock is
 * an argument.
 */

export const BEAT_MS = 2_000;
/** How often the beats are checked. */
export const LOOK_MS = 1_000;
const LATE_MS = 8_000;
/** Longer than SQLite waits for another process. */
const LOST_MS = 20_000;

export type Pulse =
  | { readonly kind: 'well' }
  /** `why` is for people. */
  | { readonly kind: 'late' | 'lost'; readonly why: string };

/**
 * Measures the running time of the observer. A longer gap between two looks is the observer's own pause and does not
 * count.
 */
export class OwnTime {
  readonly #clock: () => number;
  readonly #atMost: number;
  #last: number;

  constructor(clock: () => number, everyMs: number) {
    this.#clock = clock;
    this.#atMost = 2 * everyMs;
    this.#last = clock();
  }

  /** The running time since the last call. */
  passed(): number {
    const now = this.#clock();
    const passed = Math.min(now - this.#last, this.#atMost);
    this.#last = now;
    return passed;
  }
}

/** In the task: how long the oldest write has waited, in running time. */
export class DiskWait {
  #since: number | undefined;
  #waited = 0;

  /** `since`: when the oldest unanswered write began. */
  after(passedMs: number, since: number | undefined): number {
    this.#waited = since !== undefined && since === this.#since ? this.#waited + passedMs : 0;
    this.#since = since;
    return this.#waited;
  }
}

/** In the supervisor: the state of one process. */
export class Heart {
  #silentMs = 0;
  #diskWaitMs = 0;

  beat(diskWaitMs: number): void {
    this.#silentMs = 0;
    this.#diskWaitMs = diskWaitMs;
  }

  /** `times`: how many times the usual limit it takes to be lost (`Patience` in backoff.ts). */
  after(passedMs: number, times = 1): Pulse {
    this.#silentMs += passedMs;
    const waited = this.#diskWaitMs === 0 ? 0 : this.#diskWaitMs + this.#silentMs;
    const longest = Math.max(this.#silentMs, waited);
    if (longest < LATE_MS) return { kind: 'well' };
    const why =
      this.#silentMs >= LATE_MS ? 'gives no sign of life' : 'waits for its disk, which does not answer';
    return { kind: longest < LOST_MS * times ? 'late' : 'lost', why };
  }
}
