/**
 * The deliveries that wait for one destination: those that are due in order of arrival, and those that were put off,
 * by the time they are due again. Holds ids only, so that a long queue costs little memory. No clock of its own.
 */
export interface Waiting {
  readonly id: string;
  /** Deferrals so far. */
  readonly attempts: number;
}

interface Later extends Waiting {
  readonly due: number;
}

export class WaitingLine {
  #ready: Waiting[] = [];
  #head = 0;
  readonly #later: Later[] = [];

  get size(): number {
    return this.#ready.length - this.#head + this.#later.length;
  }

  add(waiting: Waiting): void {
    this.#ready.push(waiting);
  }

  /** Puts a delivery off until `due`; later ones are kept sorted. */
  putOff(waiting: Waiting, due: number): void {
    const at = this.#later.findLastIndex((other) => other.due <= due) + 1;
    this.#later.splice(at, 0, { ...waiting, due });
  }

  /** The next delivery that is due at `now`, oldest deferral first, or undefined. */
  next(now: number): Waiting | undefined {
    const first = this.#later[0];
    if (first && first.due <= now) return this.#later.shift();
    const waiting = this.#ready[this.#head];
    if (!waiting) return undefined;
    this.#head += 1;
    // Dropping the consumed part now and then keeps taking cheap and memory bounded.
    if (this.#head > 1024 && this.#head * 2 > this.#ready.length) {
      this.#ready = this.#ready.slice(this.#head);
      this.#head = 0;
    }
    return waiting;
  }

  /** When the next delivery is due: `now` where one is ready, undefined where none waits. */
  nextDue(now: number): number | undefined {
    return this.#head < this.#ready.length ? now : this.#later[0]?.due;
  }
}
