/**
 * One timer for very many waiting destinations: a heap sorted by time. One Node timer for each would need more memory
 * than all other data of a destination.
 */

/** An item that is woken up. It stores its own position in the heap. */
export interface Sleeper {
  wakeAt: number;
  /** -1: not in the heap. */
  place: number;
}

/** The longest timer. A longer wait is split. */
const AT_MOST_MS = 60 * 60_000;

export class Wakeups<Item extends Sleeper> {
  readonly #clock: () => number;
  readonly #wake: (sleeper: Item) => void;
  readonly #heap: Item[] = [];
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(clock: () => number, wake: (sleeper: Item) => void) {
    this.#clock = clock;
    this.#wake = wake;
  }

  /** Replaces an earlier time of this item. */
  set(sleeper: Item, at: number): void {
    this.#remove(sleeper);
    sleeper.wakeAt = at;
    this.#heap.push(sleeper);
    this.#rise(sleeper, this.#heap.length - 1);
    this.#arm();
  }

  forget(sleeper: Item): void {
    this.#remove(sleeper);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timerAt = Number.NEGATIVE_INFINITY;
  }

  #arm(): void {
    const at = this.#heap[0]?.wakeAt;
    if (at === undefined || at >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    const ms = Math.min(Math.max(1, Math.ceil(at - this.#clock())), AT_MOST_MS);
    this.#timer = setTimeout(() => this.#ring(), ms);
  }

  #ring(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = this.#clock();
    for (let [first] = this.#heap; first && first.wakeAt <= now; [first] = this.#heap) {
      this.#remove(first);
      this.#wake(first);
    }
    this.#arm();
  }

  #remove(sleeper: Item): void {
    const { place } = sleeper;
    if (place === -1) return;
    sleeper.place = -1;
    const last = this.#heap.pop();
    if (!last || last === sleeper) return;
    this.#sink(last, this.#rise(last, place));
  }

  #rise(sleeper: Item, from: number): number {
    let at = from;
    for (let up = (at - 1) >> 1; at > 0; up = (at - 1) >> 1) {
      const parent = this.#heap[up];
      if (!parent || parent.wakeAt <= sleeper.wakeAt) break;
      this.#put(parent, at);
      at = up;
    }
    this.#put(sleeper, at);
    return at;
  }

  #sink(sleeper: Item, from: number): void {
    let at = from;
    for (;;) {
      const [left, right] = [this.#heap[2 * at + 1], this.#heap[2 * at + 2]];
      const child = right && left && right.wakeAt < left.wakeAt ? right : left;
      if (!child || child.wakeAt >= sleeper.wakeAt) break;
      const below = child.place;
      this.#put(child, at);
      at = below;
    }
    this.#put(sleeper, at);
  }

  #put(sleeper: Item, at: number): void {
    this.#heap[at] = sleeper;
    sleeper.place = at;
  }
}
