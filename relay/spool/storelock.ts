/**
 * Who has the store open, and whether it must be recovered before anybody writes on. Whoever has it open shares a lock,
 * which the kernel drops with the process; recovery takes it alone. A notice, which is a file, tells all processes that
 * something is wrong; it goes when the store is recovered, and outlives every process, but need not outlive the kernel:
 * after a power loss nothing is left that the disk never got. SQLite is used for its locks alone (Node has no other).
 */
import { appendFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

export class StoreLock {
  readonly #notice: string;
  readonly #lock: DatabaseSync;

  constructor(path: string) {
    this.#notice = `${path}.fault`;
    this.#lock = new DatabaseSync(`${path}.lock`);
    // Nothing is ever written: the lock is the transaction.
    this.#lock.exec('PRAGMA journal_mode = MEMORY');
  }

  /** Throws where nobody lets go within `waitMs` of what stands in the way; as `alone`. */
  share(waitMs: number): void {
    this.#lock.exec(`PRAGMA busy_timeout = ${waitMs}; BEGIN; SELECT count(*) FROM sqlite_schema`);
  }

  letGo(): void {
    if (this.#lock.isTransaction) this.#lock.exec('ROLLBACK');
  }

  /** While nobody else has the store open. */
  alone(waitMs: number, work: () => void): void {
    this.#lock.exec(`PRAGMA busy_timeout = ${waitMs}; BEGIN EXCLUSIVE`);
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

  /** Tells all processes. Throws where even that cannot be written. */
  post(what: string): void {
    appendFileSync(this.#notice, `${what}\n`);
  }

  get isPosted(): boolean {
    return existsSync(this.#notice);
  }

  /** What all have posted. */
  get posted(): string {
    return this.isPosted ? readFileSync(this.#notice, 'utf8') : '';
  }

  takeDown(): void {
    rmSync(this.#notice, { force: true });
  }
}
