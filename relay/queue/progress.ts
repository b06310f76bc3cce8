/**
 * Writes the results for a message, one change at a time. A failed write is repeated, and meanwhile its delivery counts
 * as under way, because forgetting the result would deliver the message again. While a message is being delivered, its
 * record is kept in memory and not read again. This is safe, because only this process changes the record, and only
 * through this file.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../observe/log.ts';
import type { QueueRecord } from '../spool/record.ts';
import type { NewMessage, Spool, SpoolEvent } from '../spool/spool.ts';
import type { MailEvent } from './mailevent.ts';

const AGAIN_MS = 1_000;

export interface Changed {
  /** The same object if nothing changes. A record without recipients removes the message. */
  readonly record: QueueRecord;
  /** New messages that enter the queue together with the change. */
  readonly news: readonly NewMessage[];
  /** What the change means for recipients. Absent if nobody wants to know. */
  readonly events?: readonly MailEvent[];
  /** Written together with the change. */
  readonly outbox?: readonly SpoolEvent[];
}

export type Change = (record: QueueRecord) => Changed | Promise<Changed>;

interface Kept {
  record: QueueRecord;
  users: number;
}

export class Progress {
  readonly #spool: Spool;
  readonly #log: Log;
  readonly #writes = new Map<string, Promise<Changed | undefined>>();
  readonly #kept = new Map<string, Kept>();
  #isClosed = false;

  constructor(spool: Spool, log: Log) {
    this.#spool = spool;
    this.#log = log;
  }

  /** Repeats no write from now on. */
  close(): void {
    this.#isClosed = true;
  }

  /** Resolves when no change of this message is being written. Undefined if none is. */
  pending(id: string): Promise<unknown> | undefined {
    return this.#writes.get(id);
  }

  /** Keeps a record that was just read, until the returned function is called. */
  keep(id: string, record: QueueRecord): () => void {
    const kept = this.#kept.get(id) ?? { record, users: 0 };
    kept.users += 1;
    this.#kept.set(id, kept);
    return () => {
      kept.users -= 1;
      if (kept.users === 0 && this.#kept.get(id) === kept) this.#kept.delete(id);
    };
  }

  /** Resolves with the written change. Undefined if the message is gone. */
  async write(id: string, change: Change): Promise<Changed | undefined> {
    const before = this.#writes.get(id);
    const write = before ? before.then(() => this.#untilWritten(id, change)) : this.#untilWritten(id, change);
    this.#writes.set(id, write);
    try {
      return await write;
    } finally {
      if (this.#writes.get(id) === write) this.#writes.delete(id);
    }
  }

  async #untilWritten(id: string, change: Change): Promise<Changed | undefined> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#write(id, change);
      } catch (error) {
        // The failed write may be in the store. Only the store knows.
        this.#kept.delete(id);
        if (tries === 1) this.#log('progress_not_written', { id, message: (error as Error).message });
        if (this.#isClosed) return undefined;
        await sleep(AGAIN_MS);
      }
    }
  }

  async #write(id: string, change: Change): Promise<Changed | undefined> {
    const record = this.#kept.get(id)?.record ?? this.#read(id);
    if (!record || record.recipients.length === 0) return undefined;
    const changed = await change(record);
    if (changed.record !== record || changed.news.length > 0)
      await this.#spool.settle(id, changed.record, changed.news, changed.outbox);
    const kept = this.#kept.get(id);
    if (kept) kept.record = changed.record;
    return changed;
  }

  #read(id: string): QueueRecord | undefined {
    const read = this.#spool.read(id);
    return read.kind === 'message' ? read.record : undefined;
  }
}
