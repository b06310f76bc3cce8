/**
 * What one task counts and measures between two reports to its supervisor: counts by `name` or `name{label,label}`,
 * measurements by name. Only increments travel, so that a task that dies takes nothing with it but its last moment.
 * Bounded: of measurements a sample is kept, which is enough for a quantile.
 */
import type { Counted } from './messages.ts';

/** Measurements of one name between two reports; further ones replace earlier ones in turn. */
const SAMPLE = 1_000;

export class Counters {
  #counts: Record<string, number> = {};
  #observations: Record<string, number[]> = {};
  #any = false;
  #turn = 0;

  add(name: string, label?: string): void {
    const key = label === undefined ? name : `${name}{${label}}`;
    this.#counts[key] = (this.#counts[key] ?? 0) + 1;
    this.#any = true;
  }

  observe(name: string, value: number): void {
    this.#observations[name] ??= [];
    const values = this.#observations[name];
    if (values.length < SAMPLE) values.push(value);
    else values[this.#turn++ % SAMPLE] = value;
    this.#any = true;
  }

  /** What was counted and measured since the last call, if anything. */
  take(): Counted | undefined {
    if (!this.#any) return undefined;
    const taken = { counts: this.#counts, observations: this.#observations };
    this.#counts = {};
    this.#observations = {};
    this.#any = false;
    return taken;
  }
}
