/**
 * The single place where bytes become durable: the queue of one relay, shared by its listener processes and its
 * router over one lmdb store. `enter` resolves only after the sync (group commit: what one process writes while a sync
 * is under way shares the next), so that a 250 may follow. Entries that cannot be read are set aside and counted, never
 * deleted. Errors of the disk reject; nothing of a message that failed to enter remains.
 */
import { createReadStream, mkdirSync, readdirSync, statfsSync, statSync, unlinkSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { type Database, open, type RootDatabase } from 'lmdb';
import { BodyWriter, type SealedBody } from './body.ts';
import { decodeRecord, type Envelope, encodeRecord, type QueueRecord } from './record.ts';

/** Below this much free space nothing is taken: lmdb reports a full disk as an I/O error, far too late. */
const RESERVE_BYTES = 64 * 2 ** 20;
const RESERVE_SHARE = 0.05;
/** A small claim must not be all reserve. */
const RESERVE_AT_MOST = 0.25;
/** Address space, not disk: lmdb maps it sparsely. */
const MAP_BYTES = 64 * 2 ** 30;

const READ_BYTES = 256 * 1024;
/** lmdb tells why a commit failed a moment after that it failed. */
const CAUSE_WITHIN_MS = 1_000;

export type Read =
  | { kind: 'message'; record: QueueRecord }
  | { kind: 'gone' }
  | { kind: 'damaged'; message: string };

/** `open` gives the body from its first byte, as often as asked. */
export type Taken = (Read & { kind: 'message'; open: () => Readable }) | Exclude<Read, { kind: 'message' }>;

export class Spool {
  readonly #root: RootDatabase<Buffer, string>;
  readonly #records: Database<Buffer, string>;
  readonly #bodies: Database<Buffer, string>;
  readonly #damaged: Database<Buffer, string>;
  readonly #bodyDir: string;
  readonly #stateDir: string;
  #fault: string | undefined;

  constructor(stateDir: string) {
    this.#stateDir = stateDir;
    this.#bodyDir = join(stateDir, 'bodies');
    mkdirSync(this.#bodyDir, { recursive: true, mode: 0o700 });
    const binary = { encoding: 'binary', keyEncoding: 'ordered-binary' } as const;
    const path = join(stateDir, 'queue');
    try {
      this.#root = open<Buffer, string>({
        ...binary,
        path,
        mapSize: MAP_BYTES,
        maxDbs: 4,
        // A commit is synced before it resolves and before the next one begins. With lmdb's default, a writer that is
        // killed makes the others fall back behind commits that were flushed already: measured, 20 lost of 346,000.
        overlappingSync: false,
      });
    } catch (error) {
      const { message } = error as Error;
      throw new Error(`Cannot open the queue in "${path}": ${message}`, { cause: error });
    }
    // A reader that was killed would keep old pages from being used again for ever.
    this.#root.readerCheck();
    this.#records = this.#root.openDB({ ...binary, name: 'records' });
    this.#bodies = this.#root.openDB({ ...binary, name: 'bodies' });
    this.#damaged = this.#root.openDB({ ...binary, name: 'damaged' });
  }

  /** True while a message of so many bytes may be taken. */
  hasRoom(bytes: number): boolean {
    const { bavail, blocks, bsize } = statfsSync(this.#stateDir);
    const total = blocks * bsize;
    const reserve = Math.min(Math.max(RESERVE_BYTES, total * RESERVE_SHARE), total * RESERVE_AT_MOST);
    return bavail * bsize - bytes > reserve;
  }

  bodyWriter(id: string): BodyWriter {
    return new BodyWriter(this.#bodyDir, id);
  }

  /** Resolves when the message is on disk: the 250 may be sent. */
  async enter(id: string, envelope: Envelope, body: SealedBody): Promise<void> {
    const inline = body.kind === 'inline' ? body.bytes : undefined;
    const record: QueueRecord = {
      ...envelope,
      bytes: body.kind === 'inline' ? body.bytes.length : body.bytes,
      crc: inline ? crc32(inline) : 0,
      body: inline ? 'store' : 'file',
    };
    if (this.isBroken) throw new Error('The queue had an I/O error and is not written any more');
    try {
      // Both puts are made in one event turn and so are one transaction.
      const bodyWrite = inline ? this.#bodies.put(id, inline) : undefined;
      await Promise.all([bodyWrite, this.#records.put(id, encodeRecord(record))]);
    } catch (error) {
      throw await this.#failed(error);
    }
  }

  /** True after an I/O error: what this process wrote may not be what the disk has, so it must not write on. */
  get isBroken(): boolean {
    return this.#fault !== undefined;
  }

  /** What that error was. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** The envelope and progress of a message. */
  read(id: string): Read {
    const bytes = this.#records.getBinary(id) ?? this.#freshBinary(id);
    return bytes ? decodeRecord(bytes) : { kind: 'gone' };
  }

  /** A message with its body, which was found whole. */
  take(id: string): Taken {
    const read = this.read(id);
    if (read.kind !== 'message') return read;
    const { record } = read;
    const open = this.#openerOf(id, record);
    return open
      ? { ...read, open }
      : { kind: 'damaged', message: 'the body is missing, cut short or altered' };
  }

  /** Writes progress. Not waited for on disk: what a crash forgets is delivered again (at least once). */
  async settle(id: string, record: QueueRecord): Promise<void> {
    await this.#records.put(id, encodeRecord(record));
  }

  async remove(id: string, record: QueueRecord): Promise<void> {
    // The file outlives the record, or a power loss would leave a message without its body.
    await this.#removeBoth(id);
    if (record.body === 'file') await unlink(join(this.#bodyDir, id));
  }

  /** Moves an entry that cannot be read out of the way, so that a person can look at it. */
  async setAside(id: string): Promise<void> {
    const bytes = this.#records.getBinary(id);
    if (bytes) this.#damaged.put(id, Buffer.from(bytes)).catch(() => undefined);
    await this.#records.remove(id);
  }

  /** Ids in order of arrival. */
  *list(): Iterable<string> {
    for (const key of this.#records.getKeys({ snapshot: false })) yield key;
  }

  /** Queued messages; what was set aside is counted apart. */
  get depth(): number {
    return this.#records.getKeysCount();
  }

  get damaged(): number {
    return this.#damaged.getKeysCount();
  }

  /** Takes back what was set aside but can be read now: an older relay may not have known the format. */
  async restore(): Promise<void> {
    for (const id of [...this.#damaged.getKeys()]) {
      const bytes = this.#damaged.getBinary(id);
      const decoded = bytes && decodeRecord(bytes);
      if (!bytes || decoded?.kind !== 'message' || !this.#openerOf(id, decoded.record)) continue;
      this.#damaged.remove(id).catch(() => undefined);
      await this.#records.put(id, Buffer.from(bytes));
    }
  }

  /** Removes body files that no record names: what a crash in mid-message left. Only while nobody writes. */
  sweep(): void {
    for (const id of readdirSync(this.#bodyDir)) {
      if (!this.#records.doesExist(id) && !this.#damaged.doesExist(id)) unlinkSync(join(this.#bodyDir, id));
    }
  }

  close(): Promise<void> {
    return this.#root.close();
  }

  /** Another process may have committed after this one's read transaction began: look again in a new one. */
  #freshBinary(id: string): Buffer | undefined {
    this.#root.resetReadTxn();
    return this.#records.getBinary(id);
  }

  /** Undefined where the body is not whole. */
  #openerOf(id: string, record: QueueRecord): (() => Readable) | undefined {
    return record.body === 'file' ? this.#openFile(id, record) : this.#openInline(id, record);
  }

  #openFile(id: string, { bytes }: QueueRecord): (() => Readable) | undefined {
    const path = join(this.#bodyDir, id);
    if (statSync(path, { throwIfNoEntry: false })?.size !== bytes) return undefined;
    return () => createReadStream(path, { highWaterMark: READ_BYTES });
  }

  #openInline(id: string, { crc }: QueueRecord): (() => Readable) | undefined {
    const bytes = this.#bodies.getBinary(id);
    if (!bytes || crc32(bytes) !== crc) return undefined;
    return () => Readable.from([bytes], { objectMode: false });
  }

  #removeBoth(id: string): Promise<boolean> {
    // One transaction, so one promise tells of both; the other must not go unheard when it fails.
    this.#bodies.remove(id).catch(() => undefined);
    return this.#records.remove(id);
  }

  /** A commit that fails leaves no trace of what it had to write. */
  async #failed(error: unknown): Promise<Error> {
    const cause = await causeOf(error);
    // After a failed sync the kernel may call pages clean that the disk never got.
    if ((cause as { code?: number }).code !== constants.errno.ENOSPC) this.#fault ??= cause.message;
    return cause;
  }
}

/** The error behind a failed commit, which lmdb gives as a promise of its own. */
async function causeOf(error: unknown): Promise<Error> {
  const { commitError } = error as { commitError?: Promise<never> };
  const late = sleep(CAUSE_WITHIN_MS, error as Error);
  return commitError ? Promise.race([commitError.catch((cause: Error) => cause), late]) : (error as Error);
}
