/**
 * One timer for very many destinations: a heap of times, each with the key of a destination. One Node timer for each
 * would need more memory than all other data of a destination. An entry stays in the heap until its time, so the
 * receiver ignores a time that is not the one it waits for.
 */

/** The longest timer. A longer wait is split. */
const AT_MOST_MS = 60 * 60_000;

export class Wakeups {
  readonly #clock: () => number;
  readonly #wake: (key: string, at: number) => void;
  /** The heap, as two lists. `#times[0]` is the next time. */
  readonly #times: number[] = [];
  readonly #keys: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(clock: () => number, wake: (key: string, at: number) => void) {
    this.#clock = clock;
    this.#wake = wake;
  }

  add(key: string, at: number): void {
    this.#rise(key, at);
    this.#arm();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timerAt = Number.NEGATIVE_INFINITY;
  }

  #arm(): void {
    const [at] = this.#times;
    if (at === undefined || at >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    const ms = Math.min(Math.max(1, Math.ceil(at - this.#clock())), AT_MOST_MS);
    this.#timer = setTimeout(() => this.#ring(), ms);
  }

  #ring(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = this.#clock();
    for (let [at] = this.#times; at !== undefined && at <= now; [at] = this.#times)
      this.#wake(this.#takeFirst(), at);
    this.#arm();
  }

  #takeFirst(): string {
    const [first = ''] = this.#keys;
    const [key, at] = [this.#keys.pop(), this.#times.pop()];
    if (key !== undefined && at !== undefined && this.#keys.length > 0) this.#sink(key, at);
    return first;
  }

  #rise(key: string, at: number): void {
    let place = this.#times.length;
    for (let up = (place - 1) >> 1; place > 0; up = (place - 1) >> 1) {
      if (this.#timeAt(up) <= at) break;
      this.#put(place, this.#keys[up] ?? '', this.#timeAt(up));
      place = up;
    }
    this.#put(place, key, at);
  }

  /** Puts an entry into the first place, and moves it down until no earlier one is below it. */
  #sink(key: string, at: number): void {
    let place = 0;
    for (;;) {
      const left = 2 * place + 1;
      const child = this.#timeAt(left + 1) < this.#timeAt(left) ? left + 1 : left;
      if (this.#timeAt(child) >= at) break;
      this.#put(place, this.#keys[child] ?? '', this.#timeAt(child));
      place = child;
    }
    this.#put(place, key, at);
  }

  /** Infinity behind the end. */
  #timeAt(place: number): number {
    return this.#times[place] ?? Number.POSITIVE_INFINITY;
  }

  #put(place: number, key: string, at: number): void {
    this.#times[place] = at;
    this.#keys[place] = key;
  }
}
