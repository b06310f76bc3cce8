/**
 * Writes what became of a message, one change at a time. A change that cannot be written is tried again and again, and
 * its delivery counts as under way meanwhile: forgetting it would deliver the message a second time.
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

export class Progress {
  readonly #spool: Spool;
  readonly #log: Log;
  readonly #writes = new Map<string, Promise<Changed | undefined>>();

  constructor(spool: Spool, log: Log) {
    this.#spool = spool;
    this.#log = log;
  }

  /** Resolves when nothing is being written of it any more; undefined where nothing is. */
  pending(id: string): Promise<unknown> | undefined {
    return this.#writes.get(id);
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
        if (tries === 1) this.#log('progress_not_written', { id, message: (error as Error).message });
        await sleep(AGAIN_MS);
      }
    }
  }

  async #write(id: string, change: Change): Promise<Changed | undefined> {
    const read = this.#spool.read(id);
    if (read.kind !== 'message') return undefined;
    const changed = await change(read.record);
    if (changed.record !== read.record || changed.news.length > 0)
      await this.#spool.settle(id, changed.record, changed.news);
    return changed;
  }
}
