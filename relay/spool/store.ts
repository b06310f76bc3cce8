/**
 * The store under the spool: tables of bytes by key in one SQLite file, which several processes share safely. Writes that
 * come together are one transaction in the write-ahead log, which is synced here, beside the event loop and outside the
 * lock that the processes share. A write that fails leaves no trace and rejects; a full disk is told by the code ENOSPC.
 * After any other error every process closes the store, and it is recovered before it is opened again (recovery.ts); who
 * comes too early is told so. Nothing is acknowledged by a sync that a notice of such an error overtook.
 */
import { fdatasync } from 'node:fs';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { faultOf, noticeOf, type StoreError } from './fault.ts';
import { type Checkpoints, OpenStore } from './openstore.ts';
import { type Recovered, recover } from './recovery.ts';
import type { StoreSpace } from './room.ts';
import { StoreLock } from './storelock.ts';
import type { Tables } from './tables.ts';
import { answer } from './unanswered.ts';

/** Commits are at least so far apart: under load they gather what comes meanwhile, at rest nobody waits. */
const GATHER_MS = 8;
/** What need not be on disk at once is there after this. */
const SYNC_WITHIN_MS = 1_000;
/** Who has nothing to write learns of a notice within this. */
const LOOK_MS = 200;
/** The others let go within that, and one that recovers a large store takes longer. */
const OPEN_WAIT_MS = 10_000;
const RECOVER_WAIT_MS = 500;
const AGAIN_MS = 1_000;

const datasync = promisify(fdatasync);

type Change = (tables: Tables) => void;

interface Waiting {
  readonly change: Change;
  /** Resolves after the sync, or already after the commit. */
  readonly synced: boolean;
  readonly done: () => void;
  readonly failed: (error: Error) => void;
}

export interface StoreDeps {
  readonly checkpoints: Checkpoints;
  readonly onSync: () => void;
  readonly onRecovered: (recovered: Recovered) => void;
  /** Nobody has it open yet: it is looked through, and its log is written anew. */
  readonly isStart: boolean;
}

export class Store {
  readonly #path: string;
  readonly #deps: StoreDeps;
  readonly #lock: StoreLock;
  #open: OpenStore | undefined;
  #fault: string | undefined;
  #notBefore = Number.NEGATIVE_INFINITY;
  #waiting: Waiting[] = [];
  #commitsFrom = Number.NEGATIVE_INFINITY;
  #syncing: Promise<void> = Promise.resolve();
  #syncLater: NodeJS.Timeout | undefined;
  readonly #looking: NodeJS.Timeout;

  /** Throws with one sentence when the file is not a store that can be opened. */
  constructor(path: string, deps: StoreDeps) {
    this.#path = path;
    this.#deps = deps;
    this.#lock = new StoreLock(path);
    try {
      if (deps.isStart || this.#lock.isPosted) this.#recover(OPEN_WAIT_MS);
      else this.#openSound();
    } catch (error) {
      this.#lock.close();
      throw new Error(`Cannot open the queue in "${path}": ${(error as Error).message}`, { cause: error });
    }
    this.#looking = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** What the error was after which the store is not open; undefined while it is. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Gives what `look` finds; recovers the store first where it proves to be damaged. */
  read<T>(look: (tables: Tables) => T): T {
    try {
      return look((this.#fault === undefined && this.#open ? this.#open : this.#usable()).tables);
    } catch (error) {
      if (!this.#open || faultOf(error as StoreError) !== 'damage') throw error;
      this.#post(error as Error);
      return look(this.#usable().tables);
    }
  }

  /** Resolves when the change is on disk. */
  write(change: Change): Promise<void> {
    return this.#enqueue(change, true);
  }

  /** Resolves when the change outlives this process; it is on disk soon after. */
  note(change: Change): Promise<void> {
    return this.#enqueue(change, false);
  }

  get space(): StoreSpace {
    return this.read(() => this.#open?.space) ?? { free: 0, pending: 0 };
  }

  /** Where nobody has written since the last call: makes the files small again. */
  tidyWhenQuiet(): void {
    this.#guardCheckpoint((open) => open.tidyWhenQuiet());
  }

  async close(): Promise<void> {
    this.#commit();
    await this.#syncing;
    await this.#sync([]);
    clearInterval(this.#looking);
    this.#close();
    this.#lock.close();
  }

  #enqueue(change: Change, synced: boolean): Promise<void> {
    return new Promise((done, failed) => {
      if (this.#waiting.push({ change, synced, done, failed }) === 1) void this.#commitSoon();
    });
  }

  async #commitSoon(): Promise<void> {
    await this.#syncing;
    const waitMs = this.#commitsFrom - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    else await turn();
    this.#commit();
  }

  #commit(): void {
    const batch = this.#waiting;
    this.#waiting = [];
    if (batch.length === 0) return;
    this.#commitsFrom = performance.now() + GATHER_MS;
    try {
      this.#usable().transact((tables) => {
        for (const { change } of batch) change(tables);
      });
    } catch (error) {
      const cause = this.#failed(error as StoreError);
      for (const { failed } of batch) failed(cause);
      return;
    }
    for (const { synced, done } of batch) if (!synced) done();
    const waiting = batch.filter(({ synced }) => synced);
    if (waiting.length > 0) this.#syncing = this.#sync(waiting);
    else this.#syncLater ??= setTimeout(() => void this.#sync([]), SYNC_WITHIN_MS);
    this.#guardCheckpoint((open) => open.copyLongLog());
  }

  async #sync(batch: readonly Waiting[]): Promise<void> {
    clearTimeout(this.#syncLater);
    this.#syncLater = undefined;
    const open = this.#open;
    try {
      if (open) await this.#syncLog(open);
      // A notice of another process tells of an error that this one need not have heard of.
      if (!open || this.#open !== open || this.#lock.isPosted)
        throw new Error('The queue is being recovered');
      for (const { done } of batch) done();
    } catch (error) {
      for (const { failed } of batch) failed(error as Error);
    }
  }

  async #syncLog(open: OpenStore): Promise<void> {
    this.#deps.onSync();
    try {
      await answer(datasync(open.log));
    } catch (error) {
      if (this.#open === open) this.#post(error as Error);
      throw error;
    }
  }

  #failed(error: StoreError): Error {
    const fault = faultOf(error);
    if (fault === 'full') return Object.assign(error, { code: 'ENOSPC' });
    if (this.#open && (fault === 'io' || fault === 'damage')) this.#post(error);
    return error;
  }

  /** Tells all processes, this one included, that the store must be recovered. */
  #post(error: Error): void {
    this.#fault = noticeOf(faultOf(error as StoreError) === 'damage' ? 'damage' : 'io', error);
    try {
      this.#lock.post(this.#fault);
    } catch {
      // Where not even this can be written, nothing is acknowledged either; this process remembers.
    }
  }

  #look(): void {
    if (this.#fault === undefined && !this.#lock.isPosted) return;
    try {
      this.#usable();
    } catch {
      // Until the next look.
    }
  }

  /** The store, open and sound; recovers it first where that is needed. */
  #usable(): OpenStore {
    if (this.#open && this.#fault === undefined && !this.#lock.isPosted) return this.#open;
    if (performance.now() < this.#notBefore) throw new Error(`The queue is being recovered (${this.#fault})`);
    try {
      return this.#recover(RECOVER_WAIT_MS);
    } catch (error) {
      this.#fault ??= (error as Error).message;
      this.#notBefore = performance.now() + AGAIN_MS;
      throw error;
    }
  }

  #recover(waitMs: number): OpenStore {
    let recovered: Recovered | undefined = this.#deps.isStart ? undefined : { kind: 'reopened' };
    const own = this.#fault ?? '';
    this.#close();
    this.#lock.alone(waitMs, () => {
      const notice = this.#lock.posted || own;
      if (notice === '' && !this.#deps.isStart) return;
      recovered = recover(this.#path, notice) ?? recovered;
      this.#lock.takeDown();
    });
    const open = this.#openShared(waitMs);
    this.#fault = undefined;
    if (recovered) this.#deps.onRecovered(recovered);
    return open;
  }

  #openSound(): void {
    try {
      this.#openShared(OPEN_WAIT_MS);
    } catch (error) {
      if (faultOf(error as StoreError) !== 'damage') throw error;
      this.#post(error as Error);
      this.#recover(OPEN_WAIT_MS);
    }
  }

  #openShared(waitMs: number): OpenStore {
    this.#lock.share(waitMs);
    try {
      this.#open = new OpenStore(this.#path, this.#deps.checkpoints);
      return this.#open;
    } catch (error) {
      this.#lock.letGo();
      throw error;
    }
  }

  #close(): void {
    this.#open?.close();
    this.#open = undefined;
    this.#lock.letGo();
  }

  #guardCheckpoint(work: (open: OpenStore) => void): void {
    const open = this.#fault === undefined ? this.#open : undefined;
    if (!open) return;
    try {
      work(open);
    } catch (error) {
      const fault = faultOf(error as StoreError);
      if (fault === 'busy' || fault === 'full') return;
      this.#post(error as Error);
      if (fault === 'io') endUnclosed();
    }
  }
}

/**
 * Where SQLite itself was told of a failed sync, nobody will be told again through its handle. Closing it could copy the
 * log into the tables, page by page as the kernel shows it, and delete it; so this process ends without.
 */
function endUnclosed(): void {
  process.kill(process.pid, 'SIGKILL');
}
