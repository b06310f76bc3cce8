/**
 * Every message that is queued, the oldest first, with what is asked of all together: how many, how large, how many wait
 * for a person. Holds no texts, so that a long queue costs little memory.
 */
import { timeOfQueueId } from '../spool/record.ts';
import { IdTable } from './idtable.ts';

export class QueueIndex {
  /** Bytes of each. */
  readonly #messages = new IdTable();
  readonly #held = new Set<string>();
  #bytes = 0;

  get size(): number {
    return this.#messages.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get held(): number {
    return this.#held.size;
  }

  /** Milliseconds since the epoch at which the oldest was received; null when there is none. */
  get oldest(): number | null {
    const oldest = this.#messages.next();
    return oldest === undefined ? null : timeOfQueueId(oldest);
  }

  has(id: string): boolean {
    return this.#messages.has(id);
  }

  /** Those behind `after`, the oldest first, whatever comes and goes meanwhile. */
  ids(after?: string): IteratorObject<string> {
    return this.#messages.ids(after);
  }

  /** Adds it, or replaces what is known of it. */
  put(id: string, { held, bytes }: { held: boolean; bytes: number }): void {
    this.forget(id);
    this.#messages.set(id, bytes);
    this.#bytes += bytes;
    if (held) this.#held.add(id);
  }

  forget(id: string): void {
    this.#bytes -= this.#messages.take(id) ?? 0;
    this.#held.delete(id);
  }
}
