/**
 * The store under the spool: three tables of bytes by key in one SQLite file, which several processes share safely.
 * Writes that come together are one transaction in the write-ahead log. SQLite itself syncs only what its own files need
 * to stay whole (synchronous=NORMAL): the log is synced here, beside the event loop and outside the lock that the
 * processes share. A write that fails leaves no trace and rejects; a full disk is told by the code ENOSPC, and after any
 * other I/O error `fault` says what it was: after a failed sync the kernel may call pages clean that the disk never got.
 */
import { closeSync, fdatasync, openSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { answer } from './unanswered.ts';

/** Another process commits within milliseconds; this long a wait means that the disk is stuck. */
const BUSY_MS = 10_000;
/** Commits are at least so far apart: under load they gather what comes meanwhile, at rest nobody waits. */
const GATHER_MS = 8;
/** What need not be on disk at once is there after this. */
const SYNC_WITHIN_MS = 1_000;
/** As SQL has it. */
const ALL = -1;
const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;

/**
 * When the log is copied into the tables, in pages of 4 KiB that it has. That stops its process for some ten milliseconds:
 * clients wait for listeners, and nobody for the router, so they leave it to the router while that does anything.
 */
const CHECKPOINT_PAGES = { early: 4_000, late: 8_000 };
export type Checkpoints = keyof typeof CHECKPOINT_PAGES;

const datasync = promisify(fdatasync);

class Table {
  readonly #get: StatementSync;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #keys: StatementSync;
  readonly #count: StatementSync;

  constructor(database: DatabaseSync, name: string) {
    this.#get = database.prepare(`SELECT value FROM ${name} WHERE key = ?`);
    this.#put = database.prepare(`INSERT OR REPLACE INTO ${name} (key, value) VALUES (?, ?)`);
    this.#remove = database.prepare(`DELETE FROM ${name} WHERE key = ?`);
    this.#keys = database.prepare(`SELECT key FROM ${name} WHERE key > ? ORDER BY key LIMIT ?`);
    this.#count = database.prepare(`SELECT count(*) AS count FROM ${name}`);
  }

  get(key: string): Buffer | undefined {
    const row = this.#get.get(key) as { value: Uint8Array } | undefined;
    return row && Buffer.from(row.value.buffer, row.value.byteOffset, row.value.byteLength);
  }

  /** Only inside `write`. */
  put(key: string, value: Buffer): void {
    this.#put.run(key, value);
  }

  /** Only inside `write`. */
  remove(key: string): void {
    this.#remove.run(key);
  }

  /** In order, those behind `after`. */
  keys(after = '', atMost = ALL): string[] {
    return this.#keys.all(after, atMost).map((row) => (row as { key: string }).key);
  }

  count(): number {
    return (this.#count.get() as { count: number }).count;
  }
}

export interface Tables {
  readonly records: Table;
  readonly bodies: Table;
  readonly damaged: Table;
}

type Change = (tables: Tables) => void;

interface Waiting {
  readonly change: Change;
  /** Resolves after the sync, or already after the commit. */
  readonly synced: boolean;
  readonly done: () => void;
  readonly failed: (error: Error) => void;
}

export class Store {
  readonly #database: DatabaseSync;
  /** The write-ahead log: it lives as long as any process has the store open. */
  readonly #log: number;
  readonly tables: Tables;
  #waiting: Waiting[] = [];
  #commitsFrom = 0;
  #syncing: Promise<void> = Promise.resolve();
  #syncLater: NodeJS.Timeout | undefined;
  readonly #onSync: () => void;
  #fault: string | undefined;

  /** Throws with one sentence when the file is not a store that can be opened. */
  constructor(path: string, onSync: () => void, checkpoints: Checkpoints) {
    this.#onSync = onSync;
    try {
      this.#database = new DatabaseSync(path, { timeout: BUSY_MS });
      this.#database.exec(
        `PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES[checkpoints]}`,
      );
      for (const name of ['records', 'bodies', 'damaged']) {
        this.#database.exec(`CREATE TABLE IF NOT EXISTS ${name} (key TEXT PRIMARY KEY, value BLOB NOT NULL)`);
      }
      this.#log = openSync(`${path}-wal`, 'r');
    } catch (error) {
      throw new Error(`Cannot open the queue in "${path}": ${(error as Error).message}`, { cause: error });
    }
    this.tables = {
      records: new Table(this.#database, 'records'),
      bodies: new Table(this.#database, 'bodies'),
      damaged: new Table(this.#database, 'damaged'),
    };
  }

  /** What the I/O error was after which this process must not write any more. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Resolves when the change is on disk. */
  write(change: Change): Promise<void> {
    return this.#enqueue(change, true);
  }

  /** Resolves when the change outlives this process; it is on disk soon after. */
  note(change: Change): Promise<void> {
    return this.#enqueue(change, false);
  }

  async close(): Promise<void> {
    this.#commit();
    await this.#syncing;
    await this.#sync([]);
    closeSync(this.#log);
    this.#database.close();
  }

  #enqueue(change: Change, synced: boolean): Promise<void> {
    return new Promise((done, failed) => {
      if (this.#waiting.push({ change, synced, done, failed }) === 1) void this.#commitSoon();
    });
  }

  async #commitSoon(): Promise<void> {
    await this.#syncing;
    const waitMs = this.#commitsFrom - Date.now();
    if (waitMs > 0) await sleep(waitMs);
    else await turn();
    this.#commit();
  }

  #commit(): void {
    const batch = this.#waiting;
    this.#waiting = [];
    if (batch.length === 0) return;
    this.#commitsFrom = Date.now() + GATHER_MS;
    try {
      this.#transact(batch.map(({ change }) => change));
    } catch (error) {
      const cause = this.#failed(error as Error & { errcode?: number });
      for (const { failed } of batch) failed(cause);
      return;
    }
    for (const { synced, done } of batch) if (!synced) done();
    const waiting = batch.filter(({ synced }) => synced);
    if (waiting.length > 0) this.#syncing = this.#sync(waiting);
    else this.#syncLater ??= setTimeout(() => void this.#sync([]), SYNC_WITHIN_MS);
  }

  #transact(changes: readonly Change[]): void {
    this.#database.exec('BEGIN IMMEDIATE');
    for (const change of changes) change(this.tables);
    this.#database.exec('COMMIT');
  }

  async #sync(batch: readonly Waiting[]): Promise<void> {
    clearTimeout(this.#syncLater);
    this.#syncLater = undefined;
    this.#onSync();
    try {
      await answer(datasync(this.#log));
    } catch (error) {
      this.#fault ??= (error as Error).message;
      for (const { failed } of batch) failed(error as Error);
      return;
    }
    for (const { done } of batch) done();
  }

  #failed(error: Error & { errcode?: number }): Error {
    try {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    } catch {
      // SQLite has rolled back by itself, as it does after most I/O errors.
    }
    // Extended codes carry the primary one in their low byte.
    const primary = (error.errcode ?? 0) & 0xff;
    if (primary === SQLITE_FULL) return Object.assign(error, { code: 'ENOSPC' });
    if (primary !== SQLITE_BUSY) this.#fault ??= error.message;
    return error;
  }
}
