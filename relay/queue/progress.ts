/**
 * Writes what became of a message, one change at a time. A change that cannot be written is tried again and again, and
 * its delivery counts as under way meanwhile: forgetting it would deliver the message a second time. The record of a
 * message that is being delivered is kept as it was read and written last, so that it is read once: only this process
 * changes it, and all of its changes go through here.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../observe/log.ts';
import type { QueueRecord } from '../spool/record.ts';
import type { NewMessage, Spool } from '../spool/spool.ts';

const AGAIN_MS = 1_000;

export interface Changed {
  /** The same object where nothing changes; without recipients the message goes. */
  readonly record: QueueRecord;
  /** Enter the queue together with the change. */
  readonly news: readonly NewMessage[];
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

  /** Nothing is tried again from now on. */
  close(): void {
    this.#isClosed = true;
  }

  /** Resolves when nothing is being written of it any more; undefined where nothing is. */
  pending(id: string): Promise<unknown> | undefined {
    return this.#writes.get(id);
  }

  /** Keeps a record that was read just now, until what it gives is called. */
  keep(id: string, record: QueueRecord): () => void {
    const kept = this.#kept.get(id) ?? { record, users: 0 };
    kept.users += 1;
    this.#kept.set(id, kept);
    return () => {
      kept.users -= 1;
      if (kept.users === 0 && this.#kept.get(id) === kept) this.#kept.delete(id);
    };
  }

  /** Resolves with what was written; undefined where the message is gone. */
  async write(id: string, change: Change): Promise<Changed | undefined> {
    const before = this.#writes.get(id);
    const write = (before ?? Promise.resolve()).then(() => this.#untilWritten(id, change));
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
        // It may have been written all the same: only the store knows.
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
      await this.#spool.settle(id, changed.record, changed.news);
    const kept = this.#kept.get(id);
    if (kept) kept.record = changed.record;
    return changed;
  }

  #read(id: string): QueueRecord | undefined {
    const read = this.#spool.read(id);
    return read.kind === 'message' ? read.record : undefined;
  }
}
