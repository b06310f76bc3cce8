/**
 * The store under the spool: tables of bytes by key in one SQLite file that several processes share safely. Writes that
 * come together are one transaction in the write-ahead log. This file syncs the log itself, beside the event loop and
 * outside the lock that the processes share. A failed write leaves no trace and rejects. A full disk has the code
 * ENOSPC. After any other error every process closes the store until it is recovered (recovery.ts). A sync acknowledges
 * nothing if a notice of such an error came before its end, and what was not acknowledged can be taken back.
 */
import { fdatasync } from 'node:fs';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { answer } from './diskpulse.ts';
import { classifyError, formatNotice, isAboutContent, type StoreError } from './fault.ts';
import { cannotOpen } from './opening.ts';
import { type Checkpoints, endUnclosed, OpenStore } from './openstore.ts';
import { hasLog, isHalfRebuilt, type Recovered, recover } from './recovery.ts';
import type { StoreSpace } from './room.ts';
import { StoreLock } from './storelock.ts';
import { type Change, joinChanges, type Tables } from './tables.ts';

/** The time between commits: a millisecond for each write that waits for the sync of the last one. At rest nobody waits. */
const gatherMs = (waiting: number) => Math.min(Math.max(waiting, 8), 16);
/** The longest time until a `note` is on disk. */
const SYNC_WITHIN_MS = 1_000;
/** A process without writes sees a notice within this time. */
const LOOK_MS = 200;
/** How long to wait for other processes to close the store. */
const OPEN_WAIT_MS = 10_000;
const RECOVER_WAIT_MS = 500;
const AGAIN_MS = 1_000;

const datasync = promisify(fdatasync);

interface Waiting {
  readonly change: Change;
  readonly undo: Change | undefined;
  /** True: the write resolves after the sync. False: after the commit. */
  readonly synced: boolean;
  readonly done: () => void;
  readonly failed: (error: Error) => void;
}

export interface StoreDeps {
  readonly checkpoints: Checkpoints;
  readonly onSync: () => void;
  readonly onRecovered: (recovered: Recovered) => void;
  readonly onReplace: () => void;
  /** No process has the store open yet: it is checked, and its log is written again. The same where a kill left a log that nobody has open. */
  readonly isStart: boolean;
}

export class Store {
  readonly #path: string;
  readonly #deps: StoreDeps;
  readonly #lock: StoreLock;
  #open: OpenStore | undefined;
  #fault: string | undefined;
  /** An error that only this process knows, because the notice could not be written. It acknowledges nothing. */
  #unposted: string | undefined;
  #notBefore = Number.NEGATIVE_INFINITY;
  #waiting: Waiting[] = [];
  /** Of changes that were committed and not acknowledged. Made as soon as the store is recovered. */
  #undos: readonly Change[] = [];
  #commitsFrom = Number.NEGATIVE_INFINITY;
  #syncing: Promise<void> = Promise.resolve();
  #syncLater: NodeJS.Timeout | undefined;
  readonly #looking: NodeJS.Timeout;

  /** Throws one sentence if the file is no store that can be opened. */
  constructor(path: string, deps: StoreDeps) {
    this.#path = path;
    this.#deps = deps;
    this.#lock = new StoreLock(path);
    try {
      const recovered = this.#recoverAlone(deps.isStart ? OPEN_WAIT_MS : 0, deps.isStart || hasLog(path));
      if (recovered) deps.onRecovered(recovered);
      this.#openSound();
    } catch (error) {
      this.#lock.close();
      throw cannotOpen(path, error as StoreError);
    }
    this.#looking = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** The error that closed the store. Undefined while the store is open. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Returns the result of `look`. If the store cannot be read, recovers it first. */
  read<T>(look: (tables: Tables) => T): T {
    try {
      return look((this.#fault === undefined && this.#open ? this.#open : this.#usable()).tables);
    } catch (error) {
      if (!this.#open || !isAboutContent(classifyError(error as StoreError))) throw error;
      this.#post(error as Error);
      return look(this.#usable().tables);
    }
  }

  /** Resolves when the change is on disk. `undo` takes back a change that was committed but could not be synced. */
  write(change: Change, undo?: Change): Promise<void> {
    return this.#enqueue(change, true, undo);
  }

  /** Resolves when the change survives the end of this process. It is on disk soon after. */
  note(change: Change): Promise<void> {
    return this.#enqueue(change, false);
  }

  get space(): StoreSpace {
    return this.read(() => this.#open?.space) ?? { free: 0, pending: 0 };
  }

  tidyWhenQuiet(): void {
    this.#guardCheckpoint((open) => open.tidyWhenQuiet());
  }

  async close(): Promise<void> {
    this.#commit();
    await this.#syncing;
    if (this.#undos.length > 0) this.#look();
    await this.#sync([]);
    clearInterval(this.#looking);
    this.#close();
    this.#lock.close();
  }

  #enqueue(change: Change, synced: boolean, undo?: Change): Promise<void> {
    return new Promise((done, failed) => {
      if (this.#waiting.push({ change, undo, synced, done, failed }) === 1) void this.#commitSoon();
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
    const waiting = batch.filter(({ synced }) => synced);
    this.#commitsFrom = performance.now() + gatherMs(waiting.length);
    try {
      this.#usable().transact(joinChanges(batch.map(({ change }) => change)));
    } catch (error) {
      const cause = this.#failed(error as StoreError);
      for (const { failed } of batch) failed(cause);
      return;
    }
    for (const { synced, done } of batch) if (!synced) done();
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
      // Another process's notice may report an error that this process never saw.
      if (!open || this.#open !== open || this.#lock.isPosted)
        throw new Error('The queue is being recovered');
      for (const { done } of batch) done();
    } catch (error) {
      this.#undos = [...this.#undos, ...batch.flatMap(({ undo }) => undo ?? [])];
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
    const fault = classifyError(error);
    if (fault === 'full') this.#open?.cutUnfinished();
    if (fault === 'full') return Object.assign(error, { code: 'ENOSPC' });
    if (this.#open && (fault === 'io' || isAboutContent(fault))) this.#post(error);
    return error;
  }

  /** Tells all processes, including this one, that the store must be recovered. */
  #post(error: Error): void {
    this.#fault = formatNotice(error as StoreError);
    try {
      this.#lock.post(this.#fault);
    } catch {
      this.#unposted = this.#fault;
    }
  }

  #look(): void {
    if (this.#fault === undefined && !this.#lock.isPosted && this.#undos.length === 0) return;
    try {
      this.#usable();
    } catch {
      // Valid until the next look.
    }
  }

  /** Returns the open, sound store. Recovers it first if needed. */
  #usable(): OpenStore {
    if (this.#open && this.#fault === undefined && !this.#lock.isPosted) return this.#takeBack(this.#open);
    if (performance.now() < this.#notBefore) throw new Error(`The queue is being recovered (${this.#fault})`);
    try {
      return this.#reopen(RECOVER_WAIT_MS);
    } catch (error) {
      this.#fault ??= (error as Error).message;
      this.#notBefore = performance.now() + AGAIN_MS;
      throw error;
    }
  }

  /** Closes the store, and opens it again when this process or another one has recovered it. */
  #reopen(waitMs: number): OpenStore {
    this.#close();
    const recovered = this.#isNoticed ? this.#recoverAlone(waitMs) : undefined;
    const open = this.#takeBack(this.#openShared(waitMs));
    this.#fault = undefined;
    this.#deps.onRecovered(recovered ?? { kind: 'reopened' });
    return open;
  }

  #takeBack(open: OpenStore): OpenStore {
    if (this.#undos.length > 0) open.transact(joinChanges(this.#undos));
    this.#undos = [];
    return open;
  }

  /** An error is known that no process has recovered the store from, also where only the rest of a rebuild tells of it. */
  get #isNoticed(): boolean {
    return this.#unposted !== undefined || this.#lock.isPosted || isHalfRebuilt(this.#path);
  }

  /** Another process may have done it while this one waited for the lock. */
  #recoverAlone(waitMs: number, isLeft = false): Recovered | undefined {
    let recovered: Recovered | undefined;
    this.#lock.alone(waitMs, () => {
      if (!isLeft && !this.#isNoticed) return;
      recovered = recover(this.#path, this.#lock.posted || (this.#unposted ?? ''), this.#deps.onReplace);
      this.#lock.takeDown();
      this.#unposted = undefined;
    });
    return recovered;
  }

  #openSound(): void {
    try {
      if (this.#isNoticed) this.#reopen(OPEN_WAIT_MS);
      else this.#openShared(OPEN_WAIT_MS);
    } catch (error) {
      if (!isAboutContent(classifyError(error as StoreError))) throw error;
      this.#post(error as Error);
      this.#reopen(OPEN_WAIT_MS);
    }
  }

  #openShared(waitMs: number): OpenStore {
    this.#lock.share(waitMs);
    try {
      this.#open = OpenStore.share(this.#path, this.#deps.checkpoints);
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
      const fault = classifyError(error as StoreError);
      if (fault === 'busy' || fault === 'full') return;
      this.#post(error as Error);
      if (fault === 'io') endUnclosed();
    }
  }
}
