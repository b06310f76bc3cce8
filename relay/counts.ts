/**
 * Counters of one task: `name` or `name{label}` to a number that only grows. A task sends them to its supervisor,
 * which adds up the tasks (those that have ended too) for /metrics.
 */
import type { Counts } from './messages.ts';

export class Counters {
  readonly #values = new Map<string, number>();
  #changed = false;

  add(name: string, label?: string): void {
    const key = label === undefined ? name : `${name}{${label}}`;
    this.#values.set(key, (this.#values.get(key) ?? 0) + 1);
    this.#changed = true;
  }

  /** The counts, if any changed since the last call. */
  takeChanged(): Counts | undefined {
    if (!this.#changed) return undefined;
    this.#changed = false;
    return Object.fromEntries(this.#values);
  }
}
