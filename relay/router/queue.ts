/**
 * The deliveries that wait for one destination: those that are due in order of arrival, and those that were put off,
 * by the time they are due again. Holds ids, each once, and why they were put off, so that a long queue costs little
 * memory. No clock of its own.
 */
export interface Waiting {
  readonly id: string;
  /** Deferrals so far. */
  readonly attempts: number;
  /** Why it was put off last. */
  readonly reason?: string;
  /** Recipients that were put off in this round: the others have their turn first. */
  readonly tried?: { readonly addresses: readonly string[]; readonly reason: string };
}

interface Later {
  readonly waiting: Waiting;
  readonly due: number;
}

interface Standing {
  /** 0 where it is ready. */
  readonly due: number;
  /** Why it was put off. */
  readonly reason: string | undefined;
}

/** One for all that were never put off: a long queue is mostly of these. */
const READY: Standing = { due: 0, reason: undefined };

export class WaitingLine {
  #ready: Waiting[] = [];
  #head = 0;
  #later: Later[] = [];
  readonly #known = new Map<string, Standing>();

  get size(): number {
    return this.#known.size;
  }

  add(waiting: Waiting): void {
    if (this.#known.has(waiting.id)) return;
    this.#known.set(waiting.id, waiting.reason === undefined ? READY : { due: 0, reason: waiting.reason });
    this.#ready.push(waiting);
  }

  /** Puts a delivery off until `due`; later ones are kept sorted. */
  putOff(waiting: Waiting, due: number): void {
    if (this.#known.has(waiting.id)) return;
    this.#known.set(waiting.id, { due, reason: waiting.reason });
    this.#later.splice(this.#placeOf(due), 0, { waiting, due });
  }

  /** The next delivery that is due at `now`, oldest deferral first, or undefined. */
  next(now: number): Waiting | undefined {
    const first = this.#later[0];
    const waiting = first && first.due <= now ? this.#later.shift()?.waiting : this.#nextReady();
    if (waiting) this.#known.delete(waiting.id);
    return waiting;
  }

  /** When the next delivery is due: `now` where one is ready, undefined where none waits. */
  nextDue(now: number): number | undefined {
    return this.#head < this.#ready.length ? now : this.#later[0]?.due;
  }

  /** When this delivery is due; undefined where it does not wait here. */
  dueOf(id: string, now: number): number | undefined {
    const known = this.#known.get(id);
    return known && Math.max(known.due, now);
  }

  /** Why this delivery was put off, where it waits here and was. */
  reasonOf(id: string): string | undefined {
    return this.#known.get(id)?.reason;
  }

  /** Those that `wanted` names are due at once, before all others that were put off; true where there are any. */
  hurry(wanted: (id: string) => boolean): boolean {
    const hurried = this.#later.filter(({ waiting }) => wanted(waiting.id));
    for (const { waiting } of hurried) this.#known.set(waiting.id, { due: 0, reason: waiting.reason });
    const others = this.#later.filter(({ waiting }) => !wanted(waiting.id));
    this.#later = [...hurried.map(({ waiting }) => ({ waiting, due: 0 })), ...others];
    return hurried.length > 0 || this.#ready.slice(this.#head).some(({ id }) => wanted(id));
  }

  /** Behind those that are due no later. */
  #placeOf(due: number): number {
    let [low, high] = [0, this.#later.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#later[middle]?.due ?? 0) <= due) low = middle + 1;
      else high = middle;
    }
    return low;
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
