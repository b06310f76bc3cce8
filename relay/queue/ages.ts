/**
 * The age of mail. The time when a message came is one of the wall clock, because it must survive a restart. Where that
 * clock is stepped, or the machine sleeps, this file remembers both clocks: so the age is the time in which the relay could
 * try the message, and never more. This file has no clock of its own.
 */

/** Less than this is no step. A span has one offset, so what came in it may seem to be so far outside of it. */
const STEP_MS = 60_000;
const REMEMBERED = 100;
const ALWAYS = Number.NEGATIVE_INFINITY;

export interface AgeClocks {
  /** Monotonic. It stands still while the machine sleeps. */
  readonly clock: () => number;
  readonly wall: () => number;
}

/** The time between two steps. */
interface Span {
  /** Monotonic. */
  readonly from: number;
  /** From the monotonic clock to the wall clock. */
  offset: number;
}

export class Ages {
  readonly #clocks: AgeClocks;
  /** The newest last. */
  readonly #spans: Span[];

  constructor(clocks: AgeClocks) {
    this.#clocks = clocks;
    this.#spans = [{ from: ALWAYS, offset: clocks.wall() - clocks.clock() }];
  }

  /** Notices a step. Call this at intervals. */
  look(): void {
    const now = this.#clocks.clock();
    const offset = this.#clocks.wall() - now;
    const newest = this.#spans.at(-1);
    if (newest && Math.abs(offset - newest.offset) < STEP_MS) newest.offset = offset;
    else this.#spans.push({ from: now, offset });
    // Older mail then counts as what came in the oldest span: it is older by the sleeps that are forgotten alone.
    const [, second] = this.#spans;
    if (second && this.#spans.length > REMEMBERED) this.#spans.splice(0, 2, { ...second, from: ALWAYS });
  }

  /** What has an age came at least so long before this time, by the clock of then. After a step back it is ahead of the wall clock. */
  get latest(): number {
    this.look();
    return this.#clocks.clock() + Math.max(...this.#spans.map(({ offset }) => offset));
  }

  /** In milliseconds. `receivedAt`: by the wall clock of that time. After a step back it may fit twice: the younger age counts. */
  of(receivedAt: number): number {
    this.look();
    const now = this.#clocks.clock();
    let end = now;
    for (const { from, offset } of this.#spans.toReversed()) {
      const came = receivedAt - offset;
      if (came > from - STEP_MS && came < end + STEP_MS) return Math.max(0, now - came);
      end = from;
    }
    return Math.max(0, this.#clocks.wall() - receivedAt);
  }
}
