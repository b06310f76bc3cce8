/**
 * The store while a process has it open: SQLite's handle, our own handle of the write-ahead log, and the upkeep that
 * keeps both files small. SQLite syncs only what keeps its own files consistent (synchronous=NORMAL). All errors are
 * thrown as SQLite reports them, and store.ts interprets them.
 */
import { closeSync, existsSync, openSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { asFull, mayBeQuota, type StoreError } from './fault.ts';
import { isQuotaUsedUp } from './files.ts';
import { lookAtLog, writeLogAgain } from './logagain.ts';
import { cutLog, endOfFrames, hasFrameAt } from './logfile.ts';
import type { StoreSpace } from './room.ts';
import { PAGE_BYTES } from './sqlitefile.ts';
import { openTables, TABLE_NAMES, type Tables } from './tables.ts';
import { logPagesFor, paysToShrink } from './upkeep.ts';

/** Another process commits within milliseconds. A wait this long means that the disk hangs. */
const BUSY_MS = 10_000;
/** Upkeep gives up early, because it is never urgent. */
const TIDY_BUSY_MS = 100;
/** Check the log size after so many commits. A check costs as much as a read. */
const LOOK_AT_LOG_EVERY = 8;
const LOG_STATE = 'PRAGMA wal_checkpoint(NOOP)';

/**
 * Copying the log into the tables blocks the process for some ten milliseconds. Clients wait for a listener, but nobody
 * waits for the router. So the router copies early, and a listener copies only if the router does nothing.
 */
const PATIENCE = { early: 1, late: 2 };
export type Checkpoints = keyof typeof PATIENCE;

/**
 * The second one also compares the rows of each table with its keys. The third one reads the free list alone, which takes
 * one page for a thousand free ones.
 */
export type Check = 'quick_check' | 'integrity_check' | 'free_list';
/** A store with fewer is looked through before a table is added to it, which happens once, after an upgrade. */
const LOOKED_THROUGH_PAGES = 2 ** 30 / PAGE_BYTES;

/** With several writers, an older version may corrupt a store when the log starts again. */
const OLDEST_SQLITE = '3.51.3';

/** Throws one sentence if the SQLite library is too old. */
export function refuseOldSqlite(version = process.versions['sqlite'] ?? ''): void {
  if (isAtLeast(version, OLDEST_SQLITE)) return;
  throw new Error(
    `SQLite ${version} may corrupt a queue that several processes write: use a Node with SQLite ${OLDEST_SQLITE} or later`,
  );
}

function isAtLeast(version: string, least: string): boolean {
  const [have, wanted] = [version, least].map((text) => text.split('.').map(Number));
  const at = (wanted ?? []).findIndex((part, index) => part !== have?.[index]);
  return at === -1 || (have?.[at] ?? 0) > (wanted?.[at] ?? 0);
}

export class OpenStore {
  readonly #path: string;
  readonly #database: DatabaseSync;
  /** Our handle of the write-ahead log. The file exists as long as any process has the store open. */
  readonly log: number;
  readonly tables: Tables;
  readonly #logState: StatementSync;
  readonly #freePages: StatementSync;
  readonly #version: StatementSync;
  readonly #logPages: number;
  #commits = 0;
  #quietSince = '';
  #isTidy = false;

  constructor(path: string, checkpoints: Checkpoints) {
    refuseOldSqlite();
    this.#path = path;
    this.#database = new DatabaseSync(path, { timeout: BUSY_MS });
    try {
      this.#logPages = logPagesFor(path) * PATIENCE[checkpoints];
      const limit = this.#logPages * 2 * PAGE_BYTES;
      this.#database.exec(
        // We copy the log ourselves, because SQLite does not report errors of an automatic checkpoint.
        `PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = ${limit}; PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON`,
      );
      this.tables = openTables(this.#database);
      this.#logState = this.#database.prepare(LOG_STATE);
      this.#freePages = this.#database.prepare('PRAGMA freelist_count');
      this.#version = this.#database.prepare('PRAGMA data_version');
      // If the file could not be opened for writing, SQLite has opened it for reading. Then this throws.
      this.#logState.get();
      this.log = openSync(`${path}-wal`, 'r+');
    } catch (error) {
      this.#database.close();
      throw this.#tellFull(error);
    }
  }

  /**
   * For a process that is not the only one: its own sync covers what it writes, whatever the others have heard. It may take
   * the place of one that was killed.
   */
  static share(path: string, checkpoints: Checkpoints): OpenStore {
    const store = new OpenStore(path, checkpoints);
    try {
      store.#cut();
      const seen = lookAtLog(store.log, () => endOfFrames(store.#countFrames().log, store.#pageBytes));
      store.transact(() => writeLogAgain(store.log, seen));
      return store;
    } catch (error) {
      store.close();
      throw error;
    }
  }

  /** Makes all of the change, or nothing. */
  transact(change: (tables: Tables) => void): void {
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      change(this.tables);
      this.#database.exec('COMMIT');
    } catch (error) {
      this.#rollBack();
      throw this.#tellFull(error);
    }
    this.#commits += 1;
  }

  /** Call this after each transaction. */
  copyLongLog(): void {
    if (this.#commits % LOOK_AT_LOG_EVERY === 0 && this.#pendingPages > this.#logPages)
      this.#copyLog('PASSIVE');
  }

  /** Throws if the file cannot take it, which `close` never tells. No other process may have the store open. */
  emptyLog(): void {
    this.#copyLog('TRUNCATE');
  }

  /**
   * Call this after a transaction that found no room, or whose process was killed. It may be whole in the log though it is not
   * in force: a later start would take it, also in part and with mail that has gone since. Nobody reads behind the end, and
   * nobody writes while this has the lock of writers.
   */
  cutUnfinished(): void {
    try {
      this.#cut();
    } catch {
      // A disk that hangs. The next one who opens the store cuts it.
    }
  }

  /** Throws if another process does not let go of the lock: whoever waited for it once need not wait again. */
  #cut(): void {
    this.#database.exec('BEGIN IMMEDIATE');
    let beside: DatabaseSync | undefined;
    try {
      beside = new DatabaseSync(this.#path, { timeout: BUSY_MS });
      // A handle that has read nothing knows no log, and one that writes may not ask how long it is.
      beside.prepare('PRAGMA schema_version').get();
      const { log } = beside.prepare(LOG_STATE).get() as { log: number };
      if (log < 0) return;
      const end = endOfFrames(log, this.#pageBytes);
      cutLog(`${this.#path}-wal`, (file) => (hasFrameAt(file, end) ? end : undefined));
    } catch {
      // Then it is taken at most, and nothing goes.
    } finally {
      this.#rollBack();
      beside?.close();
    }
  }

  get space(): StoreSpace {
    const { freelist_count: free } = this.#freePages.get() as { freelist_count: number };
    return { free: free * PAGE_BYTES, pending: this.#pendingPages * PAGE_BYTES };
  }

  /**
   * Called at intervals. If nobody has written since the last call, empties the log and gives free pages of a large
   * store back to the file system.
   */
  tidyWhenQuiet(): void {
    const { data_version } = this.#version.get() as { data_version: number };
    const state = `${this.#commits} ${data_version}`;
    const isQuiet = state === this.#quietSince;
    this.#quietSince = state;
    if (isQuiet && !this.#isTidy) this.#tidy();
    this.#isTidy = isQuiet;
  }

  close(): void {
    closeSync(this.log);
    this.#database.close();
  }

  get #pendingPages(): number {
    const { log, checkpointed } = this.#countFrames();
    return Math.max(0, log - checkpointed);
  }

  get #pageBytes(): number {
    return (this.#database.prepare('PRAGMA page_size').get() as { page_size: number }).page_size;
  }

  #countFrames(): { log: number; checkpointed: number } {
    return this.#logState.get() as { log: number; checkpointed: number };
  }

  #tidy(): void {
    this.#database.exec(`PRAGMA busy_timeout = ${TIDY_BUSY_MS}`);
    try {
      this.#copyLog('TRUNCATE');
      if (this.#isMostlyFree) this.#copyLog('TRUNCATE', 'VACUUM; ');
    } finally {
      this.#database.exec(`PRAGMA busy_timeout = ${BUSY_MS}`);
    }
  }

  get #isMostlyFree(): boolean {
    const { freelist_count: free } = this.#freePages.get() as { freelist_count: number };
    const { page_count: pages } = this.#database.prepare('PRAGMA page_count').get() as { page_count: number };
    return paysToShrink(this.#path, pages, pages - free);
  }

  #copyLog(how: 'PASSIVE' | 'TRUNCATE', first = ''): void {
    try {
      this.#database.exec(`${first}PRAGMA wal_checkpoint(${how})`);
    } catch (error) {
      throw this.#tellFull(error);
    }
  }

  /** Where a quota is used up nothing is wrong with the disk. */
  #tellFull(error: unknown): StoreError {
    const told = error as StoreError;
    return mayBeQuota(told) && isQuotaUsedUp(`${this.#path}.trial`) ? asFull(told) : told;
  }

  #rollBack(): void {
    try {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    } catch {
      // SQLite has already rolled back, as it does after most I/O errors.
    }
  }
}

/**
 * Opens a store without writing: what is written into a damaged store, as a table that an earlier version did not have,
 * may lie on the pages of other rows. Only what was never finished is taken back. Returns the first problem that the check
 * finds.
 */
export function findProblem(path: string, wanted: Check): string | undefined {
  takeBackUnfinished(path);
  const database = new DatabaseSync(path, { timeout: BUSY_MS, readOnly: true });
  try {
    database.exec('PRAGMA cell_size_check = ON');
    const check = wanted === 'free_list' && willGetTable(database) ? 'quick_check' : wanted;
    const pragma = check === 'free_list' ? "quick_check('sqlite_schema')" : `${check}(1)`;
    const [first] = database.prepare(`PRAGMA ${pragma}`).all();
    const [told] = Object.values(first ?? {});
    return told === 'ok' ? undefined : String(told ?? 'it cannot be checked');
  } finally {
    database.close();
  }
}

/**
 * A loss of power while the store was made, which is before it held anything, leaves the journal of its first
 * transaction. SQLite takes that back when it reads, but only with a handle that may write.
 */
function takeBackUnfinished(path: string): void {
  if (!existsSync(`${path}-journal`)) return;
  const database = new DatabaseSync(path, { timeout: BUSY_MS });
  try {
    database.prepare('PRAGMA schema_version').get();
  } finally {
    database.close();
  }
}

/** A page that is free by mistake could be that of rows. */
function willGetTable(database: DatabaseSync): boolean {
  const { page_count: pages = 0 } = database.prepare('PRAGMA page_count').get() as { page_count?: number };
  const names = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
  const isWhole = TABLE_NAMES.every((table) => names.some(({ name }) => name === table));
  return !isWhole && pages <= LOOKED_THROUGH_PAGES;
}

/**
 * After SQLite saw a failed sync, its handle never reports that failure again. Closing the handle could copy the log
 * from the kernel's cache into the tables and delete the log. So this process ends without closing it.
 */
export function endUnclosed(): void {
  process.kill(process.pid, 'SIGKILL');
}
