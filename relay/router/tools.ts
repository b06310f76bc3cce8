/**
 * What a person can ask of the queue, as data: list, show, hold, release, retry, remove. The command speaks to it over
 * a local socket (serve/control.ts). Nothing here changes a message while it is being delivered.
 */
import type { Readable } from 'node:stream';
import type { QueueRecord } from '../spool/record.ts';
import type { Spool } from '../spool/spool.ts';
import type { Touched } from './keeper.ts';
import type { Runner } from './runner.ts';

/** A queued message as it is listed; times are RFC 3339, UTC. */
export interface QueueEntry {
  readonly id: string;
  readonly from: string;
  readonly received: string;
  readonly bytes: number;
  /** held: by a person, or refused for good by an earlier version. */
  readonly state: 'queued' | 'held';
  readonly recipients: readonly {
    readonly address: string;
    readonly destination: string;
    /** Undefined while it is held or being delivered. */
    readonly nextAttempt?: string;
    readonly reason?: string;
  }[];
}

export type Deed = 'hold' | 'release' | 'retry' | 'remove';
export const DEEDS: readonly Deed[] = ['hold', 'release', 'retry', 'remove'];

export interface Done {
  readonly id: string;
  readonly result: Touched;
}

export class QueueTools {
  readonly #runner: Runner;
  readonly #spool: Spool;

  constructor(runner: Runner, spool: Spool) {
    this.#runner = runner;
    this.#spool = spool;
  }

  /** The oldest first, one at a time, so that a long queue costs no memory. */
  *list(): Generator<QueueEntry> {
    for (const id of [...this.#runner.ids()]) {
      const entry = this.show(id);
      if (entry) yield entry;
    }
  }

  show(id: string): QueueEntry | undefined {
    const read = this.#spool.read(id);
    return read.kind === 'message' ? this.#entryOf(id, read.record) : undefined;
  }

  /** The message as it was received, our Received header in front. */
  export(id: string): Readable | undefined {
    const taken = this.#spool.take(id);
    return taken.kind === 'message' ? taken.open() : undefined;
  }

  /** `ids` empty: every message. One after the other; what is being delivered right now is left alone. */
  async do(deed: Deed, ids: readonly string[]): Promise<Done[]> {
    const wanted = ids.length > 0 ? ids : [...this.#runner.ids()];
    if (deed === 'retry') return this.#retry(wanted);
    const done: Done[] = [];
    for (const id of wanted) done.push({ id, result: await this.#runner.keeper[deed](id) });
    return done;
  }

  #retry(wanted: readonly string[]): Done[] {
    const known = new Set(wanted.filter((id) => this.show(id) !== undefined));
    this.#runner.hurry((id) => known.has(id));
    return wanted.map((id) => ({ id, result: known.has(id) ? 'done' : 'gone' }));
  }

  #entryOf(id: string, record: QueueRecord): QueueEntry {
    const { from, receivedAt, bytes, recipients, hold = false } = record;
    const isHeld = hold || recipients.some(({ state }) => state === 'held');
    return {
      id,
      from,
      received: instant(receivedAt),
      bytes,
      state: isHeld ? 'held' : 'queued',
      recipients: recipients.map(({ address, reason, state }) => {
        const { destination, due, fault } = this.#runner.prospectOf(id, from, address);
        const why = reason ?? fault?.reason;
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

function instant(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
