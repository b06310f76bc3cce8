/**
 * Knows which processes have the store open, and whether it must be recovered before the next write. Each of these
 * processes shares a lock, which the kernel releases when the process ends. Recovery takes the lock alone. A notice is
 * a file that tells all processes about an error. It survives every process and is removed after recovery. It need not
 * survive the kernel: after a power loss, only data that reached the disk is left. SQLite is used here only for its
 * locks, because Node has no other lock.
 */
import { appendFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { classifyError, type StoreError } from './fault.ts';
import { cannotLock } from './opening.ts';

/** A full disk takes the name of a notice and not its text. */
const UNTOLD = 'io: an error whose notice cannot be read';

/** How long the first opening waits for a process that recovers the store. */
const OPEN_WAIT_MS = 10_000;

export class StoreLock {
  readonly #notice: string;
  readonly #path: string;
  #lock: DatabaseSync;

  constructor(path: string) {
    this.#notice = `${path}.fault`;
    this.#path = `${path}.lock`;
    this.#lock = openLock(this.#path, OPEN_WAIT_MS);
  }

  /** Takes a shared lock. Throws if another process does not release its lock within `waitMs`. */
  share(waitMs: number): void {
    this.#lock.exec(`PRAGMA busy_timeout = ${waitMs}; BEGIN; SELECT count(*) FROM sqlite_schema`);
  }

  letGo(): void {
    if (this.#lock.isTransaction) this.#lock.exec('ROLLBACK');
  }

  /** Runs `work` while no other process has the store open. Throws after `waitMs`; 0: does nothing then. This process must share no lock. */
  alone(waitMs: number, work: () => void): void {
    try {
      // After any error when a file is opened for writing, SQLite opens it for reading, and the handle stays so for ever.
      const fresh = openLock(this.#path, waitMs);
      this.#lock.close();
      this.#lock = fresh;
      this.#lock.exec(`PRAGMA busy_timeout = ${waitMs}; BEGIN EXCLUSIVE`);
    } catch (error) {
      if (waitMs === 0 && isBusy(error as Error)) return;
      throw error;
    }
    try {
      work();
    } finally {
      this.letGo();
    }
  }

  close(): void {
    this.letGo();
    this.#lock.close();
  }

  /** Tells all processes. Throws if the notice cannot be written. */
  post(what: string): void {
    appendFileSync(this.#notice, `${what}\n`);
  }

  get isPosted(): boolean {
    return existsSync(this.#notice);
  }

  /** The text that all processes have posted. Empty only if there is no notice. */
  get posted(): string {
    if (!this.isPosted) return '';
    try {
      return readFileSync(this.#notice, 'utf8') || UNTOLD;
    } catch {
      return UNTOLD;
    }
  }

  takeDown(): void {
    rmSync(this.#notice, { force: true, recursive: true });
  }
}

/** While another process recovers the store, even this waits. */
function openLock(path: string, waitMs: number): DatabaseSync {
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(path, { timeout: waitMs });
    // Nothing is ever written here. The lock is the transaction.
    lock.exec('PRAGMA journal_mode = MEMORY');
    return lock;
  } catch (error) {
    lock?.close();
    throw cannotLock(path, error as StoreError);
  }
}

function isBusy(error: Error): boolean {
  return classifyError((error.cause ?? error) as StoreError) === 'busy';
}
