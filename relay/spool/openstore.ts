/**
 * The store while a process has it open: SQLite's handle, ours of its write-ahead log, and what keeps the two small.
 * SQLite syncs only what its own files need to stay whole (synchronous=NORMAL). Everything that goes wrong is thrown as
 * SQLite says it; store.ts knows what it means.
 */
import { closeSync, openSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { StoreSpace } from './room.ts';
import { openTables, type Tables } from './tables.ts';

/** Another process commits within milliseconds; this long a wait means that the disk is stuck. */
const BUSY_MS = 10_000;
/** Order is never worth a wait. */
const TIDY_BUSY_MS = 100;
const PAGE_BYTES = 4_096;
/** The log is copied into the tables when it holds so much, less on a small volume. */
const LOG_PAGES = { least: 250, most: 4_000 };
const LOG_SHARE = 1 / 64;
/** How often that is looked at, in commits: it costs as much as a read. */
const LOOK_AT_LOG_EVERY = 8;
/** Worth the work: a file of so many pages, of which three in four are free, and the others few. */
const SHRINK = { pages: 1_000, usedPages: 2_000, freeShare: 0.75 };

/**
 * Copying the log into the tables stops its process for some ten milliseconds: clients wait for listeners, and nobody for
 * the router, so they leave it to the router while that does anything.
 */
const PATIENCE = { early: 1, late: 2 };
export type Checkpoints = keyof typeof PATIENCE;

/** With several writers, older ones may corrupt a store when the log begins anew. */
const OLDEST_SQLITE = '3.51.3';

/** Throws one sentence where the library is too old. */
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
  readonly #database: DatabaseSync;
  /** The write-ahead log: it lives as long as any process has the store open. */
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
    this.#database = new DatabaseSync(path, { timeout: BUSY_MS });
    try {
      this.#logPages = logPagesFor(path) * PATIENCE[checkpoints];
      const limit = this.#logPages * 2 * PAGE_BYTES;
      this.#database.exec(
        // We look at the log ourselves: SQLite keeps to itself what goes wrong then.
        `PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = ${limit}; PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON`,
      );
      this.tables = openTables(this.#database);
      this.#logState = this.#database.prepare('PRAGMA wal_checkpoint(NOOP)');
      this.#freePages = this.#database.prepare('PRAGMA freelist_count');
      this.#version = this.#database.prepare('PRAGMA data_version');
      this.log = openSync(`${path}-wal`, 'r');
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /** All of it, or nothing. */
  transact(change: (tables: Tables) => void): void {
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      change(this.tables);
      this.#database.exec('COMMIT');
    } catch (error) {
      this.#rollBack();
      throw error;
    }
    this.#commits += 1;
  }

  /** After each transaction. */
  copyLongLog(): void {
    if (this.#commits % LOOK_AT_LOG_EVERY === 0 && this.#pendingPages > this.#logPages)
      this.#database.exec('PRAGMA wal_checkpoint(PASSIVE)');
  }

  get space(): StoreSpace {
    const { freelist_count: free } = this.#freePages.get() as { freelist_count: number };
    return { free: free * PAGE_BYTES, pending: this.#pendingPages * PAGE_BYTES };
  }

  /**
   * Asked at intervals; where nobody has written since the last time, empties the log and gives back to the file system
   * what a store that was long does not need any more.
   */
  tidyWhenQuiet(): void {
    const { data_version } = this.#version.get() as { data_version: number };
    const state = `${this.#commits} ${data_version}`;
    const isQuiet = state === this.#quietSince;
    this.#quietSince = state;
    if (isQuiet && !this.#isTidy) this.#tidy();
    this.#isTidy = isQuiet;
  }

  /** The first thing that is wrong with it, if anything. Reads all of it. */
  problem(): string | undefined {
    const [first] = this.#database.prepare('PRAGMA quick_check(1)').all() as { quick_check: string }[];
    return first?.quick_check === 'ok' ? undefined : (first?.quick_check ?? 'it cannot be checked');
  }

  close(): void {
    closeSync(this.log);
    this.#database.close();
  }

  get #pendingPages(): number {
    const { log, checkpointed } = this.#logState.get() as { log: number; checkpointed: number };
    return Math.max(0, log - checkpointed);
  }

  #tidy(): void {
    this.#database.exec(`PRAGMA busy_timeout = ${TIDY_BUSY_MS}`);
    try {
      this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
      if (this.#isMostlyFree) this.#database.exec('VACUUM; PRAGMA wal_checkpoint(TRUNCATE)');
    } finally {
      this.#database.exec(`PRAGMA busy_timeout = ${BUSY_MS}`);
    }
  }

  get #isMostlyFree(): boolean {
    const { freelist_count: free } = this.#freePages.get() as { freelist_count: number };
    const { page_count: pages } = this.#database.prepare('PRAGMA page_count').get() as { page_count: number };
    return pages >= SHRINK.pages && pages - free <= SHRINK.usedPages && free >= pages * SHRINK.freeShare;
  }

  #rollBack(): void {
    try {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    } catch {
      // SQLite has rolled back by itself, as it does after most I/O errors.
    }
  }
}

function logPagesFor(path: string): number {
  const { blocks, bsize } = statfsSync(dirname(path));
  const share = Math.floor((blocks * bsize * LOG_SHARE) / PAGE_BYTES);
  return Math.min(Math.max(share, LOG_PAGES.least), LOG_PAGES.most);
}
