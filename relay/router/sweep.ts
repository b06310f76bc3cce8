/**
 * What time alone does to a queue: mail that is too old is returned, and a sender whose mail is late is told once.
 * Looks from the oldest on and stops at the first that is young enough, so a long queue costs little. Messages that a
 * person holds, and those whose next hop refuses our login, are left alone.
 */
import { timeOfQueueId } from '../spool/record.ts';

/** Messages that one look may touch, so that deliveries are not held up. */
const AT_ONCE = 500;

export interface SweepTerms {
  readonly expireMs: number;
  /** null: nobody is told. */
  readonly warnMs: number | null;
}

export interface Sweepable {
  /** Queued ids, the oldest first. */
  ids(): Iterable<string>;
  /** Gives what waits back to its sender. */
  expire(id: string): Promise<void>;
  /** Tells the sender that it is late. */
  warn(id: string): Promise<void>;
}

export class Sweep {
  readonly #terms: SweepTerms;
  readonly #queue: Sweepable;
  /** The youngest id whose sender was considered. */
  #warnedUpTo = '';

  constructor(terms: SweepTerms, queue: Sweepable) {
    this.#terms = terms;
    this.#queue = queue;
  }

  async look(now: number): Promise<void> {
    const { expireMs, warnMs } = this.#terms;
    const old = this.#olderThan(now - expireMs, '');
    for (const id of old) await this.#queue.expire(id);
    if (warnMs === null) return;
    for (const id of this.#olderThan(now - warnMs, this.#warnedUpTo)) {
      this.#warnedUpTo = id;
      await this.#queue.warn(id);
    }
  }

  #olderThan(time: number, after: string): string[] {
    const found: string[] = [];
    for (const id of this.#queue.ids()) {
      if (timeOfQueueId(id) > time || found.length === AT_ONCE) break;
      if (id > after) found.push(id);
    }
    return found;
  }
}
