/**
 * Every message that is queued, the oldest first, with what is asked of it often: how many destinations are not done
 * with it, whether it waits for a person, how large it is. Holds no texts, so that a long queue costs little memory.
 */
import { timeOfQueueId } from '../spool/record.ts';

/** Listeners tell of their messages a little out of order, which is no matter. */
const DISORDER_MS = 10_000;

interface Known {
  lanes: number;
  readonly held: boolean;
  readonly bytes: number;
}

export class KnownMessages {
  #messages = new Map<string, Known>();
  /** Milliseconds since the epoch. */
  #newest = 0;
  #isSorted = true;
  #bytes = 0;
  #held = 0;

  get size(): number {
    return this.#messages.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get held(): number {
    return this.#held;
  }

  /** Milliseconds since the epoch at which the oldest was received; null when there is none. */
  get oldest(): number | null {
    const [oldest] = this.ids();
    return oldest === undefined ? null : timeOfQueueId(oldest);
  }

  has(id: string): boolean {
    return this.#messages.has(id);
  }

  ids(): Iterable<string> {
    if (!this.#isSorted)
      this.#messages = new Map([...this.#messages].toSorted(([a], [b]) => (a < b ? -1 : 1)));
    this.#isSorted = true;
    return this.#messages.keys();
  }

  /** Adds it, or replaces what is known of it in its place. */
  put(id: string, known: { lanes: number; held: boolean; bytes: number }): void {
    this.#uncount(id);
    const time = timeOfQueueId(id);
    // A sibling that leaves hands over what is older than all we have.
    if (time < this.#newest - DISORDER_MS && !this.#messages.has(id)) this.#isSorted = false;
    this.#newest = Math.max(this.#newest, time);
    this.#messages.set(id, known);
    this.#bytes += known.bytes;
    if (known.held) this.#held += 1;
  }

  forget(id: string): void {
    this.#uncount(id);
    this.#messages.delete(id);
  }

  #uncount(id: string): void {
    const known = this.#messages.get(id);
    if (!known) return;
    this.#bytes -= known.bytes;
    if (known.held) this.#held -= 1;
  }

  /** One destination is done with it; the last one ends it, unless it waits for a person. */
  laneDone(id: string): void {
    const known = this.#messages.get(id);
    if (!known) return;
    known.lanes = Math.max(0, known.lanes - 1);
    if (known.lanes === 0 && !known.held) this.forget(id);
  }
}
