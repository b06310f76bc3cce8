/** Keys that were added within a while. They are bounded: the oldest ones are dropped. The clock comes from outside. Pure. */
import { dropOldest } from './oldest.ts';

export class Recent {
  readonly #clock: () => number;
  readonly #windowMs: number;
  readonly #most: number;
  readonly #addedAt = new Map<string, number>();

  constructor(clock: () => number, windowMs: number, most: number) {
    this.#clock = clock;
    this.#windowMs = windowMs;
    this.#most = most;
  }

  has(key: string): boolean {
    const at = this.#addedAt.get(key);
    return at !== undefined && this.#clock() - at < this.#windowMs;
  }

  /** Looks at the oldest keys until one counts. */
  get isEmpty(): boolean {
    const since = this.#clock() - this.#windowMs;
    return !this.#addedAt.values().some((at) => at > since);
  }

  /** Looks at each key, so it is for few of them. */
  get size(): number {
    const since = this.#clock() - this.#windowMs;
    return [...this.#addedAt.values()].filter((at) => at > since).length;
  }

  /** Of these the one that is not there, or was added first. */
  oldestOf(keys: readonly string[]): string | undefined {
    const at = (key: string) => this.#addedAt.get(key) ?? Number.NEGATIVE_INFINITY;
    return keys.toSorted((a, b) => at(a) - at(b))[0];
  }

  /** Again: its time begins anew. */
  add(key: string): void {
    this.#addedAt.delete(key);
    this.#addedAt.set(key, this.#clock());
    dropOldest(this.#addedAt, this.#most);
  }

  forget(key: string): void {
    this.#addedAt.delete(key);
  }
}
