/**
 * The index of all queued messages, oldest first, with the totals: number, bytes, and how many wait for a person. It
 * contains no texts, so a long queue needs little memory.
 */
import { timeOfQueueId } from '../spool/record.ts';
import { IdTable } from './idtable.ts';

export class QueueIndex {
  /** The number is the size in bytes. */
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

  /** When the oldest message was received, in milliseconds since the epoch. null if there is none. */
  get oldest(): number | null {
    const oldest = this.#messages.next();
    return oldest === undefined ? null : timeOfQueueId(oldest);
  }

  has(id: string): boolean {
    return this.#messages.has(id);
  }

  /** The ids after `after`, oldest first. The index may change during the iteration. */
  ids(after?: string): IteratorObject<string> {
    return this.#messages.ids(after);
  }

  /** Adds the message, or replaces its entry. */
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

  /** The result of `read`. A message that cannot be read now is none that is known: the next scan of the spool takes it again. */
  orForget<T>(id: string, read: () => T): T {
    try {
      return read();
    } catch (error) {
      this.forget(id);
      throw error;
    }
  }
}
