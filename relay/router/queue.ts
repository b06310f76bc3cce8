/**
 * The deliveries that wait for one destination: those that are due in order of arrival, and those that were put off,
 * by the time they are due again. Holds ids only, each once, so that a long queue costs little memory. No clock of its
 * own.
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
  #later: Later[] = [];
  readonly #ids = new Set<string>();

  get size(): number {
    return this.#ids.size;
  }

  add(waiting: Waiting): void {
    if (this.#ids.has(waiting.id)) return;
    this.#ids.add(waiting.id);
    this.#ready.push(waiting);
  }

  /** Puts a delivery off until `due`; later ones are kept sorted. */
  putOff(waiting: Waiting, due: number): void {
    if (this.#ids.has(waiting.id)) return;
    this.#ids.add(waiting.id);
    const at = this.#later.findLastIndex((other) => other.due <= due) + 1;
    this.#later.splice(at, 0, { ...waiting, due });
  }

  /** The next delivery that is due at `now`, oldest deferral first, or undefined. */
  next(now: number): Waiting | undefined {
    const first = this.#later[0];
    const waiting = first && first.due <= now ? this.#later.shift() : this.#nextReady();
    if (waiting) this.#ids.delete(waiting.id);
    return waiting;
  }

  /** When the next delivery is due: `now` where one is ready, undefined where none waits. */
  nextDue(now: number): number | undefined {
    return this.#head < this.#ready.length ? now : this.#later[0]?.due;
  }

  /** When this delivery is due; undefined where it does not wait here. */
  dueOf(id: string, now: number): number | undefined {
    if (!this.#ids.has(id)) return undefined;
    return this.#later.find((one) => one.id === id)?.due ?? now;
  }

  /** Those that `wanted` names are due at once. */
  hurry(wanted: (id: string) => boolean): void {
    const hurried = this.#later.filter(({ id }) => wanted(id));
    this.#later = this.#later.filter(({ id }) => !wanted(id));
    this.#ready.push(...hurried.map(({ id, attempts }) => ({ id, attempts })));
  }

  #nextReady(): Waiting | undefined {
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
}
