/**
 * Destinations that wait for a slot, by key. Usually the one that waits longest is next. In a line of strangers the newest
 * one has every second turn: many thousands may be there that hang for a minute each, and mail to one more must not wait for
 * all of them. Every second turn is the oldest one's, so none waits for ever. Pure.
 */

/** The list of the newest is made anew when so many of it have left. */
const SPARE = 1_000;

export class Line {
  readonly #ofStrangers: boolean;
  readonly #keys = new Set<string>();
  /** The newest last. Some may have left the line. */
  #newest: string[] = [];
  #isNewestsTurn = false;

  constructor(ofStrangers: boolean) {
    this.#ofStrangers = ofStrangers;
  }

  keys(): IterableIterator<string> {
    return this.#keys.values();
  }

  /** One that waits already keeps its place. */
  add(key: string): void {
    if (this.#ofStrangers && !this.#keys.has(key)) this.#newest.push(key);
    this.#keys.add(key);
    if (this.#newest.length > 2 * this.#keys.size + SPARE) this.#newest = [...this.#keys];
  }

  delete(key: string): void {
    this.#keys.delete(key);
  }

  /** Whose turn it is, one after the other, while `mayGo` is true. The line is not copied, and may change meanwhile. */
  *next(mayGo: () => boolean): Generator<string> {
    const oldest = this.#keys.values();
    const newest = this.#newest;
    while (newest.length > 0 && !this.#keys.has(newest.at(-1) ?? '')) newest.pop();
    for (let at = newest.length; mayGo(); ) {
      if (this.#isNewestsTurn) while (at > 0 && !this.#keys.has(newest[at - 1] ?? '')) at -= 1;
      const key = this.#isNewestsTurn && at > 0 ? newest[--at] : oldest.next().value;
      if (key === undefined) return;
      this.#isNewestsTurn = this.#ofStrangers && !this.#isNewestsTurn;
      yield key;
    }
  }
}
