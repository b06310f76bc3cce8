/**
 * Writes what became of recipients, one change of a message at a time. A change that cannot be written is tried again
 * and again, and its delivery counts as under way meanwhile: forgetting it would deliver the message a second time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../log.ts';
import type { Recipient } from '../spool/record.ts';
import type { Spool } from '../spool/spool.ts';

const AGAIN_MS = 1_000;

export type Change = (recipients: readonly Recipient[]) => readonly Recipient[];

export class Progress {
  readonly #spool: Spool;
  readonly #log: Log;
  readonly #writes = new Map<string, Promise<readonly Recipient[]>>();

  constructor(spool: Spool, log: Log) {
    this.#spool = spool;
    this.#log = log;
  }

  /** Resolves with the recipients that are left; without any the message is gone. */
  async write(id: string, change: Change): Promise<readonly Recipient[]> {
    const before = this.#writes.get(id);
    const write = (before ?? Promise.resolve()).then(() => this.#untilWritten(id, change));
    this.#writes.set(id, write);
    try {
      return await write;
    } finally {
      if (this.#writes.get(id) === write) this.#writes.delete(id);
    }
  }

  async #untilWritten(id: string, change: Change): Promise<readonly Recipient[]> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#write(id, change);
      } catch (error) {
        if (tries === 1) this.#log('progress_not_written', { id, message: (error as Error).message });
        await sleep(AGAIN_MS);
      }
    }
  }

  async #write(id: string, change: Change): Promise<readonly Recipient[]> {
    const read = this.#spool.read(id);
    if (read.kind !== 'message') return [];
    const recipients = change(read.record.recipients);
    if (recipients.length === 0) await this.#spool.remove(id, read.record);
    else if (!areSame(recipients, read.record.recipients))
      await this.#spool.settle(id, { ...read.record, recipients });
    return recipients;
  }
}

function areSame(a: readonly Recipient[], b: readonly Recipient[]): boolean {
  return a.length === b.length && a.every((recipient, index) => recipient.state === b[index]?.state);
}
