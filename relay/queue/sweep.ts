/**
 * The effects of time on a queue: an expired message is returned, and the sender of a late message gets one warning.
 * Each look takes a bounded number of messages, and the next look continues after them. So a long queue costs little.
 * Messages that must stay (held, login refused, being delivered) do not block the others, and neither does one that cannot be
 * read: its error is thrown when the look has ended.
 */
import { oldestQueueId } from '../spool/record.ts';

/** The number of messages in one look, so that deliveries are not delayed. */
const AT_ONCE = 1_000;

export interface SweepTerms {
  readonly expireMs: number;
  /** null: no warning. */
  readonly warnMs: number | null;
}

export interface Sweepable {
  /** Queued ids after `after`, oldest first. */
  ids(after: string): Iterable<string>;
  /** Returns the waiting recipients to the sender. */
  expire(id: string): Promise<void>;
  /** Tells the sender that the message is late. */
  warn(id: string): Promise<void>;
}

export class Sweep {
  readonly #terms: SweepTerms;
  readonly #queue: Sweepable;
  /** The newest id of the last look. Empty: start from the oldest. */
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
    const failed = await lookAtEach(expiring, (id) => this.#queue.expire(id));
    const late = warnMs === null ? [] : this.#olderThan(now - warnMs, this.#warnedUpTo);
    this.#warnedUpTo = nextBegin(late);
    failed.push(...(await lookAtEach(late, (id) => this.#queue.warn(id))));
    if (failed.length > 0) throw failed[0];
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

/** Resolves with the errors. */
async function lookAtEach(ids: readonly string[], look: (id: string) => Promise<void>): Promise<unknown[]> {
  const failed: unknown[] = [];
  for (const id of ids) await look(id).catch((error: unknown) => failed.push(error));
  return failed;
}
