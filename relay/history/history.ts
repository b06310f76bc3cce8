/**
 * The delivery history of one relay: who sent which mail to whom, and what became of it, without bodies. It is written
 * behind the queue, once a second: a crash loses the answers of the last second, and mail never waits for it. Messages
 * that are still queued are told again at the next start. It is bounded by age and size. A file that is damaged, or of another
 * version, is begun anew. A router has the file alone.
 */
import { rmSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import type { HistoryFigures } from '#crds/podstatus.ts';
import type { Log } from '../observe/log.ts';
import type { MailEvent, MailRecorder } from '../queue/mailevent.ts';
import type { HistoryEntry, HistoryQuery } from './entry.ts';
import { type Envelope, HistoryTable } from './table.ts';

export const HISTORY_FILE = 'history.db';

/** Most keys of the indexes are in no order: the more are written at once, the fewer pages are written for each. */
const WRITE_MS = 1_000;
/** So many facts are written at once, before the time is over. */
const FACTS = 2_000;
const FORGET_MS = 10_000;
/** Of the volume. */
const SHARE = 0.1;
const BYTES = { least: 2 ** 20, most: 2 ** 30 };
/** How long a failure is told: what it cost does not come back. */
const TOLD_MS = 3_600_000;
/** SQLITE_CORRUPT and SQLITE_NOTADB. */
const DAMAGED: readonly unknown[] = [11, 26];

export interface HistoryDeps {
  readonly path: string;
  readonly keepMs: number;
  /** Undefined: a share of the volume. */
  readonly mostBytes?: number;
  readonly log: Log;
  readonly wall: () => number;
  readonly clock: () => number;
  /** Facts that could not be written. */
  readonly onLost: (facts: number) => void;
  readonly isQueued: (id: string) => boolean;
}

export class History implements MailRecorder {
  readonly #deps: HistoryDeps;
  readonly #mostBytes: number;
  readonly #timers: readonly NodeJS.Timeout[];
  #table: HistoryTable | undefined;
  #envelopes: Envelope[] = [];
  #events: MailEvent[] = [];
  #isForgetting = false;
  #isClosed = false;
  #isFailing = false;
  #failure: { readonly message: string; readonly at: number } | undefined;

  /** No other process may use the file. */
  constructor(deps: HistoryDeps) {
    this.#deps = deps;
    this.#mostBytes = deps.mostBytes ?? shareOfVolume(deps.path);
    this.#try(0, () => this.#open());
    this.#timers = [
      setInterval(() => this.write(), WRITE_MS).unref(),
      setInterval(() => void this.forget(), FORGET_MS).unref(),
    ];
  }

  get figures(): HistoryFigures {
    const told = this.#failure;
    return { failure: told && this.#deps.clock() - told.at < TOLD_MS ? told.message : null };
  }

  /** Also mail that no queue ever had, because all its recipients are suppressed. */
  queued(id: string, record: Envelope['record']): void {
    this.#envelopes.push({ id, record });
    this.#writeMany();
  }

  happened(events: readonly MailEvent[]): void {
    this.#events.push(...events);
    this.#writeMany();
  }

  /** The newest first. */
  *find(query: HistoryQuery): Generator<HistoryEntry> {
    this.write();
    yield* this.#open().find(query, this.#deps.isQueued);
  }

  /** All that fit, whatever the most of the query is. Counting ends one beyond MOST_COUNTED. */
  count(query: HistoryQuery): number {
    this.write();
    return this.#open().count(query);
  }

  /** Writes what is known. What cannot be written is lost. */
  write(): void {
    const [envelopes, events] = [this.#envelopes, this.#events];
    const facts = envelopes.length + events.length;
    if (facts === 0 || this.#isClosed) return;
    [this.#envelopes, this.#events] = [[], []];
    this.#try(facts, () => this.#open().write(envelopes, events));
  }

  /** Forgets what is too old, or too much, in small steps. */
  async forget(): Promise<void> {
    if (this.#isForgetting) return;
    this.#isForgetting = true;
    while (!this.#isClosed && this.#try(0, () => this.#forgetSome()) === true) await turn();
    this.#isForgetting = false;
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.write();
    this.#table?.close();
    this.#table = undefined;
    this.#isClosed = true;
  }

  #open(): HistoryTable {
    const { path, log } = this.#deps;
    try {
      this.#table ??= new HistoryTable(path);
    } catch (error) {
      if (!isDamage(error)) throw error;
      log('history_begun_anew', { message: (error as Error).message });
      removeHistory(path);
      this.#table = new HistoryTable(path);
    }
    return this.#table;
  }

  /** True if there is more to forget. Where nothing is left to forget, the size does not matter. */
  #forgetSome(): boolean {
    const table = this.#open();
    if (table.bytes > this.#mostBytes && table.forgetSome()) return true;
    return table.forgetBefore(this.#deps.wall() - this.#deps.keepMs);
  }

  #writeMany(): void {
    if (this.#envelopes.length + this.#events.length >= FACTS) this.write();
  }

  /** Undefined if it failed. An error is told once, until something succeeds again. */
  #try<Value>(facts: number, work: () => Value): Value | undefined {
    try {
      const value = work();
      if (facts > 0) this.#isFailing = false;
      return value;
    } catch (error) {
      const { log, onLost, clock } = this.#deps;
      const { message } = error as Error;
      this.#failure = { message, at: clock() };
      if (facts > 0) onLost(facts);
      if (!this.#isFailing) log('history_not_written', { message });
      this.#isFailing = true;
      // The next use opens it again, and begins anew if it is damaged.
      this.#closeAfter(error);
      return undefined;
    }
  }

  #closeAfter(error: unknown): void {
    const table = this.#table;
    this.#table = undefined;
    try {
      table?.close();
    } catch {
      // It is closed or lost.
    }
    if (isDamage(error)) removeHistory(this.#deps.path);
  }
}

/** The policy wants no history: none stays. */
export function removeHistory(path: string): void {
  for (const end of ['', '-wal', '-shm']) rmSync(`${path}${end}`, { force: true });
}

function isDamage(error: unknown): boolean {
  const { errcode = 0 } = error as { errcode?: number };
  return DAMAGED.includes(errcode & 0xff);
}

function shareOfVolume(path: string): number {
  const { blocks, bsize } = statfsSync(dirname(path));
  return Math.min(Math.max(blocks * bsize * SHARE, BYTES.least), BYTES.most);
}
