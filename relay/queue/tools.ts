/**
 * The requests of a person to the queue, as data: list, show, hold, release, retry, remove. The command uses them over
 * a local socket (control.ts). Nothing here changes a message while it is being delivered: a change waits for the end of the
 * present transaction.
 */
import type { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { describeFailure } from '#crds/failure.ts';
import { type QueueRecord, timeOfQueueId } from '../spool/record.ts';
import type { Spool } from '../spool/spool.ts';
import type { ActionOutcome } from './actions.ts';
import type { QueueManager } from './manager.ts';

/** A queued message in a list. Times are RFC 3339, UTC. */
export interface QueueEntry {
  readonly id: string;
  readonly from: string;
  readonly received: string;
  readonly bytes: number;
  /** held: by a person, or refused by an earlier version. damaged: unreadable and set aside. */
  readonly state: 'queued' | 'held' | 'damaged';
  readonly recipients: readonly {
    readonly address: string;
    readonly destination: string;
    /** Undefined while the message is held or being delivered. */
    readonly nextAttempt?: string;
    readonly reason?: string;
  }[];
}

export type QueueAction = 'hold' | 'release' | 'retry' | 'remove';
export const QUEUE_ACTIONS: readonly QueueAction[] = ['hold', 'release', 'retry', 'remove'];

export interface Done {
  readonly id: string;
  /** held: it cannot be retried. queued: it is not held, so it cannot be released. damaged: it can only be removed. */
  readonly result: ActionOutcome | 'held' | 'queued' | 'damaged';
}

/** What came of a message since a person asked for an attempt. */
export interface RetryOutcome {
  readonly id: string;
  /** returned: at least one recipient was refused for good. waiting: the attempt failed, and another one follows. */
  readonly outcome: 'delivered' | 'returned' | 'waiting' | 'trying' | 'gone';
  /** Why it waits or was returned. */
  readonly reason?: string;
  readonly nextAttempt?: string;
}

/** The number of messages in one step of a retry, so that deliveries are not delayed. */
const AT_ONCE = 1_000;

export class QueueTools {
  readonly #manager: QueueManager;
  readonly #spool: Spool;

  constructor(manager: QueueManager, spool: Spool) {
    this.#manager = manager;
    this.#spool = spool;
  }

  /** Resolves when the queue is known completely. A request before that waits. */
  get loaded(): Promise<void> {
    return this.#manager.loaded;
  }

  /** Oldest first, one at a time, so a long queue needs no memory. Entries that were set aside come last. */
  *list(): Generator<QueueEntry> {
    // Stops at the present number, because new messages might arrive faster than they are listed.
    for (const id of this.#manager.ids().take(this.#manager.figures.depth)) {
      const entry = this.show(id);
      if (entry) yield entry;
    }
    for (const id of this.#spool.listDamaged()) yield damagedEntry(id);
  }

  show(id: string): QueueEntry | undefined {
    const read = this.#spool.read(id);
    if (read.kind === 'message') return this.#makeEntry(id, read.record);
    return this.#isDamaged(id) ? damagedEntry(id) : undefined;
  }

  /** The message as it was received, with our Received header before it. */
  export(id: string): Readable | undefined {
    const taken = this.#spool.load(id);
    return taken.kind === 'message' ? taken.open() : undefined;
  }

  /**
   * Handles one message after the other. Those that are being delivered come last, and side by side: `begin` begins the time
   * that the caller waits for them. Absent: they are left alone.
   */
  async do(action: QueueAction, ids: readonly string[], begin?: () => AbortSignal): Promise<Done[]> {
    if (action === 'retry') return this.#retry(ids);
    const found: Done[] = [];
    for (const id of ids) found.push({ id, result: await this.#touch(action, id) });
    const patience = begin?.();
    const again = async (one: Done) =>
      one.result === 'delivering' ? { ...one, result: await this.#touch(action, one.id, patience) } : one;
    const done = await Promise.all(found.map(again));
    // A released message should go at once.
    if (action === 'release') this.#hurry(done);
    return done;
  }

  async #touch(
    action: Exclude<QueueAction, 'retry'>,
    id: string,
    patience?: AbortSignal,
  ): Promise<Done['result']> {
    if (action === 'release' && this.show(id)?.state === 'queued') return 'queued';
    const result = await this.#manager.actions[action](id, patience);
    if (result !== 'gone' || !this.#isDamaged(id)) return result;
    if (action !== 'remove') return 'damaged';
    return (await this.#spool.discard(id)) ? 'done' : 'gone';
  }

  async #retry(ids: readonly string[]): Promise<Done[]> {
    this.#manager.asked.expect(ids);
    const done: Done[] = [];
    for (const id of ids) {
      done.push({ id, result: this.#retryable(id) });
      if (done.length % AT_ONCE === 0) await turn();
    }
    this.#hurry(done);
    return done;
  }

  /** What came of a retry of these messages so far. */
  findOutcomes(ids: readonly string[]): RetryOutcome[] {
    return ids.map((id) => {
      const entry = this.show(id);
      return entry ? { id, ...findProgress(entry, this.#manager.isDelivering(id)) } : this.#findEnd(id);
    });
  }

  #findEnd(id: string): RetryOutcome {
    const left = this.#manager.asked.find(id);
    if (!left || left.delivered + left.refused === 0) return { id, outcome: 'gone' };
    const { refused, reason } = left;
    return refused === 0
      ? { id, outcome: 'delivered' }
      : { id, outcome: 'returned', ...(reason === undefined ? {} : { reason }) };
  }

  #retryable(id: string): Done['result'] {
    const state = this.show(id)?.state;
    if (state === 'held' || state === 'damaged') return state;
    if (state === undefined) return 'gone';
    return this.#manager.isDelivering(id) ? 'delivering' : 'done';
  }

  #isDamaged(id: string): boolean {
    return this.#spool.listDamaged().includes(id);
  }

  #hurry(all: readonly Done[]): void {
    const wanted = new Set(all.filter(({ result }) => result === 'done').map(({ id }) => id));
    this.#manager.hurry(wanted);
  }

  #makeEntry(id: string, record: QueueRecord): QueueEntry {
    const { from, receivedAt, bytes, recipients, hold = false } = record;
    const isHeld = hold || recipients.some(({ state }) => state === 'held');
    return {
      id,
      from,
      received: instant(receivedAt),
      bytes,
      state: isHeld ? 'held' : 'queued',
      recipients: recipients.map((recipient) => {
        const { address, reason, state } = recipient;
        const { destination, due, failure } = this.#manager.findProspect(id, from, recipient);
        const why = reason ?? (failure && describeFailure(failure));
        return {
          address,
          destination,
          ...(due === undefined || hold || state === 'held' ? {} : { nextAttempt: instant(due) }),
          ...(why === undefined ? {} : { reason: why }),
        };
      }),
    };
  }
}

/** A recipient whose next attempt lies in the future has had this one. */
function findProgress({ recipients }: QueueEntry, isDelivering: boolean): Omit<RetryOutcome, 'id'> {
  const now = Date.now();
  const next = recipients.map(({ nextAttempt }) => nextAttempt ?? '').toSorted()[0] ?? '';
  if (isDelivering || next === '' || Date.parse(next) <= now) return { outcome: 'trying' };
  const reason = recipients.find((one) => one.reason !== undefined)?.reason;
  return { outcome: 'waiting', nextAttempt: next, ...(reason === undefined ? {} : { reason }) };
}

function damagedEntry(id: string): QueueEntry {
  return {
    id,
    from: '',
    received: instant(timeOfQueueId(id)),
    bytes: 0,
    state: 'damaged',
    recipients: [],
  };
}

function instant(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
