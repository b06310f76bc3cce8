/**
 * The single place where bytes become durable: the queue of one relay, shared by its listener processes and its
 * router over one lmdb store. `enter` resolves only after the sync (group commit: messages that wait together share
 * it), so that a 250 may follow. Entries that cannot be read are set aside and counted, never deleted. Errors of the
 * disk reject; nothing of a message that failed to enter remains.
 */
import { createReadStream, mkdirSync, readdirSync, statfsSync, statSync, unlinkSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
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

export type Taken =
  | { kind: 'message'; record: QueueRecord }
  | { kind: 'gone' }
  | { kind: 'damaged'; message: string };

type WriteResult = Promise<boolean> & { flushed?: Promise<unknown> };

export class Spool {
  readonly #root: RootDatabase<Buffer, string>;
  readonly #records: Database<Buffer, string>;
  readonly #bodies: Database<Buffer, string>;
  readonly #damaged: Database<Buffer, string>;
  readonly #bodyDir: string;
  readonly #stateDir: string;

  constructor(stateDir: string) {
    this.#stateDir = stateDir;
    this.#bodyDir = join(stateDir, 'bodies');
    mkdirSync(this.#bodyDir, { recursive: true, mode: 0o700 });
    const binary = { encoding: 'binary', keyEncoding: 'ordered-binary' } as const;
    this.#root = open<Buffer, string>({
      ...binary,
      path: join(stateDir, 'queue'),
      mapSize: MAP_BYTES,
      maxDbs: 4,
      separateFlushed: true,
    });
    this.#records = this.#root.openDB({ ...binary, name: 'records' });
    this.#bodies = this.#root.openDB({ ...binary, name: 'bodies' });
    this.#damaged = this.#root.openDB({ ...binary, name: 'damaged' });
  }

  /** True while a message may be taken. */
  hasRoom(): boolean {
    const { bavail, blocks, bsize } = statfsSync(this.#stateDir);
    const total = blocks * bsize;
    const reserve = Math.min(Math.max(RESERVE_BYTES, total * RESERVE_SHARE), total * RESERVE_AT_MOST);
    return bavail * bsize > reserve;
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
    // Both puts are made in one event turn and so are one transaction.
    if (inline) this.#bodies.put(id, inline);
    const write = this.#records.put(id, encodeRecord(record)) as WriteResult;
    await write;
    await write.flushed;
  }

  take(id: string): Taken {
    const bytes = this.#records.getBinary(id) ?? this.#freshBinary(id);
    if (!bytes) return { kind: 'gone' };
    const decoded = decodeRecord(bytes);
    if (decoded.kind === 'damaged') return decoded;
    if (!this.#bodyIsWhole(id, decoded.record))
      return { kind: 'damaged', message: 'the body is missing or cut short' };
    return { kind: 'message', record: decoded.record };
  }

  /** The bytes of a message; an inline body is checked against its checksum by the reader of `take`. */
  body(id: string, record: QueueRecord): Readable {
    if (record.body === 'file')
      return createReadStream(join(this.#bodyDir, id), { highWaterMark: 256 * 1024 });
    const bytes = this.#bodies.getBinary(id);
    if (!bytes || crc32(bytes) !== record.crc) {
      throw new Error(`The body of ${id} is damaged`);
    }
    return Readable.from([bytes], { objectMode: false });
  }

  /** Writes progress. Not waited for on disk: what a crash forgets is delivered again (at least once). */
  async settle(id: string, record: QueueRecord): Promise<void> {
    await this.#records.put(id, encodeRecord(record));
  }

  async remove(id: string, record: QueueRecord): Promise<void> {
    if (record.body === 'store') this.#bodies.remove(id);
    await this.#records.remove(id);
    if (record.body === 'file') await unlink(join(this.#bodyDir, id));
  }

  /** Moves an entry that cannot be read out of the way, so that a person can look at it. */
  async setAside(id: string): Promise<void> {
    const bytes = this.#records.getBinary(id);
    if (bytes) this.#damaged.put(id, Buffer.from(bytes));
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

  #bodyIsWhole(id: string, record: QueueRecord): boolean {
    if (record.body === 'store') return this.#bodies.doesExist(id);
    return (statSync(join(this.#bodyDir, id), { throwIfNoEntry: false })?.size ?? -1) === record.bytes;
  }
}
