/**
 * What time alone does to a queue: mail that is too old is returned, and a sender whose mail is late is told once.
 * Each look takes a bounded number of messages and the next one goes on behind them, so that a long queue costs little
 * and those that are left alone (held by a person, refused a login, being delivered) are in nobody's way.
 */
import { oldestQueueId } from '../spool/record.ts';

/** Messages of one look, so that deliveries are not held up. */
const AT_ONCE = 1_000;

export interface SweepTerms {
  readonly expireMs: number;
  /** null: nobody is told. */
  readonly warnMs: number | null;
}

export interface Sweepable {
  /** Queued ids behind `after`, the oldest first. */
  ids(after: string): Iterable<string>;
  /** Gives what waits back to its sender. */
  expire(id: string): Promise<void>;
  /** Tells the sender that it is late. */
  warn(id: string): Promise<void>;
}

export class Sweep {
  readonly #terms: SweepTerms;
  readonly #queue: Sweepable;
  /** The youngest ids that the last look considered; empty: begin again. */
  #expiredUpTo = '';
  #warnedUpTo = '';

  constructor(terms: SweepTerms, queue: Sweepable) {
    this.#terms = terms;
    this.#queue = queue;
  }

  async look(now: number): Promise<void> {
    const { expireMs, warnMs } = this.#terms;
    const expiring = this.#olderThan(now - expireMs, this.#expiredUpTo);
    this.#expiredUpTo = nextBegin(expiring);
    for (const id of expiring) await this.#queue.expire(id);
    if (warnMs === null) return;
    const late = this.#olderThan(now - warnMs, this.#warnedUpTo);
    this.#warnedUpTo = nextBegin(late);
    for (const id of late) await this.#queue.warn(id);
  }

  #olderThan(time: number, after: string): string[] {
    const before = oldestQueueId(time);
    const found: string[] = [];
    for (const id of this.#queue.ids(after)) {
      if (id >= before || found.length === AT_ONCE) break;
      found.push(id);
    }
    return found;
  }
}

function nextBegin(looked: readonly string[]): string {
  return looked.length < AT_ONCE ? '' : (looked.at(-1) ?? '');
}
