/**
 * Heart-beats: every task process says every two seconds that its loop turns, and for how long the disk has owed it the
 * answer to a write. One that is late makes the relay not ready, and later it is replaced. Time in which the one who
 * looks was itself stopped or starved, as the whole machine may be, counts against nobody. Pure: the clock comes in.
 */

export const BEAT_MS = 2_000;
/** How often beats are looked for. */
export const LOOK_MS = 1_000;
const LATE_MS = 8_000;
/** Longer than SQLite waits for another process. */
const LOST_MS = 20_000;

export type Pulse =
  | { readonly kind: 'well' }
  /** `why` is for people. */
  | { readonly kind: 'late' | 'lost'; readonly why: string };

/** The time of the one who looks at intervals: a longer gap was its own. */
export class OwnTime {
  readonly #clock: () => number;
  readonly #atMost: number;
  #last: number;

  constructor(clock: () => number, everyMs: number) {
    this.#clock = clock;
    this.#atMost = 2 * everyMs;
    this.#last = clock();
  }

  /** Since the last call. */
  passed(): number {
    const now = this.#clock();
    const passed = Math.min(now - this.#last, this.#atMost);
    this.#last = now;
    return passed;
  }
}

/** In the task: how long the oldest write has waited, in its own time. */
export class DiskWait {
  #since: number | undefined;
  #waited = 0;

  /** `since`: when the oldest write that has no answer began. */
  after(passedMs: number, since: number | undefined): number {
    this.#waited = since !== undefined && since === this.#since ? this.#waited + passedMs : 0;
    this.#since = since;
    return this.#waited;
  }
}

/** In the supervisor: what is known of one process. */
export class Heart {
  #silentMs = 0;
  #diskWaitMs = 0;

  beat(diskWaitMs: number): void {
    this.#silentMs = 0;
    this.#diskWaitMs = diskWaitMs;
  }

  after(passedMs: number): Pulse {
    this.#silentMs += passedMs;
    const waited = this.#diskWaitMs === 0 ? 0 : this.#diskWaitMs + this.#silentMs;
    const longest = Math.max(this.#silentMs, waited);
    if (longest < LATE_MS) return { kind: 'well' };
    const why =
      this.#silentMs >= LATE_MS ? 'gives no sign of life' : 'waits for its disk, which does not answer';
    return { kind: longest < LOST_MS ? 'late' : 'lost', why };
  }
}
