/**
 * What one task counts between two reports to its supervisor: `name` or `name{label,label}`. Only increments travel, so
 * that a task that dies takes nothing with it but its last moment.
 */
import type { Counts } from './messages.ts';

export class Counters {
  #counts: Record<string, number> = {};
  #any = false;

  add(name: string, label?: string): void {
    const key = label === undefined ? name : `${name}{${label}}`;
    this.#counts[key] = (this.#counts[key] ?? 0) + 1;
    this.#any = true;
  }

  /** What was counted since the last call, if anything. */
  take(): Counts | undefined {
    if (!this.#any) return undefined;
    const counts = this.#counts;
    this.#counts = {};
    this.#any = false;
    return counts;
  }
}
