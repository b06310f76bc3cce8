/**
 * The store under the spool: three tables of bytes by key in one SQLite file, which several processes share safely.
 * Writes of one turn of the event loop are one transaction and one sync (write-ahead log, synchronous=FULL). A write
 * that fails leaves no trace and rejects; a full disk is told by the code ENOSPC, and after any other I/O error `fault`
 * says what it was: after a failed sync the kernel may call pages clean that the disk never got.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite';

/** Another process commits within milliseconds; this long a wait means that the disk is stuck. */
const BUSY_MS = 10_000;
const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;

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
    this.#keys = database.prepare(`SELECT key FROM ${name} ORDER BY key`);
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

  keys(): string[] {
    return this.#keys.all().map((row) => (row as { key: string }).key);
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

interface Waiting {
  readonly change: (tables: Tables) => void;
  readonly done: () => void;
  readonly failed: (error: Error) => void;
}

export class Store {
  readonly #database: DatabaseSync;
  readonly tables: Tables;
  #waiting: Waiting[] = [];
  #fault: string | undefined;

  /** Throws with one sentence when the file is not a store that can be opened. */
  constructor(path: string) {
    try {
      this.#database = new DatabaseSync(path, { timeout: BUSY_MS });
      this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
      for (const name of ['records', 'bodies', 'damaged']) {
        this.#database.exec(`CREATE TABLE IF NOT EXISTS ${name} (key TEXT PRIMARY KEY, value BLOB NOT NULL)`);
      }
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
  write(change: (tables: Tables) => void): Promise<void> {
    return new Promise((done, failed) => {
      if (this.#waiting.push({ change, done, failed }) === 1) setImmediate(() => this.#commit());
    });
  }

  async close(): Promise<void> {
    this.#commit();
    this.#database.close();
  }

  #commit(): void {
    const batch = this.#waiting;
    this.#waiting = [];
    if (batch.length === 0) return;
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      for (const { change } of batch) change(this.tables);
      this.#database.exec('COMMIT');
    } catch (error) {
      const cause = this.#failed(error as Error & { errcode?: number });
      for (const { failed } of batch) failed(cause);
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
