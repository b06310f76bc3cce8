/**
 * The single place where bytes become durable: the queue of one relay, shared by its listener processes and its
 * router over one SQLite store. `enter` resolves only after the sync (group commit: what one process writes within
 * a few milliseconds shares a transaction and a sync), so that a 250 may follow. Entries that cannot be read are set
 * aside and counted, never deleted. Errors of the disk reject; nothing of a message that failed to enter remains.
 */
import { createReadStream, rmSync, statfsSync, statSync, unlinkSync } from 'node:fs';
import { rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import { BodyWriter, type SealedBody } from './body.ts';
import { BodyFolder } from './bodyfolder.ts';
import { readPieces } from './pieces.ts';
import { decodeRecord, type Envelope, encodeRecord, type QueueRecord } from './record.ts';
import { type Checkpoints, Store, type Tables } from './store.ts';

export { oldestUnanswered } from './unanswered.ts';

/** Below this much free space nothing is taken: what is queued needs room to be settled. */
const RESERVE_BYTES = 64 * 2 ** 20;
const RESERVE_SHARE = 0.05;
/** A small claim must not be all reserve. */
const RESERVE_AT_MOST = 0.25;

/** A disk does not fill within this, or the reserve is there for it. */
const ROOM_KNOWN_MS = 100;

export type Read =
  | { kind: 'message'; record: QueueRecord }
  | { kind: 'gone' }
  | { kind: 'damaged'; message: string };

export type Loaded =
  | ({ kind: 'message'; id: string; record: QueueRecord } & Body)
  | Exclude<Read, { kind: 'message' }>;

/** Both give the body from its first byte, as often as asked. */
export interface Body {
  readonly open: () => Readable;
  /** All of it where it is in memory; else pieces, each good until the next is asked for. */
  readonly pieces: () => Buffer | AsyncIterable<Buffer>;
}

export interface NewMessage {
  readonly id: string;
  readonly envelope: Envelope;
  readonly body: SealedBody;
}

export class Spool {
  readonly #store: Store;
  readonly #bodies: BodyFolder;
  readonly #stateDir: string;
  #room = 0;
  #roomAt = 0;

  /** `onSync` is called at each sync of the store. */
  constructor(stateDir: string, onSync: () => void = () => undefined, checkpoints: Checkpoints = 'early') {
    this.#stateDir = stateDir;
    this.#bodies = new BodyFolder(join(stateDir, 'bodies'));
    this.#store = new Store(join(stateDir, 'queue.db'), onSync, checkpoints);
  }

  /** True while a message of so many bytes may be taken. */
  hasRoom(bytes: number): boolean {
    if (Date.now() - this.#roomAt > ROOM_KNOWN_MS) {
      const { bavail, blocks, bsize } = statfsSync(this.#stateDir);
      const total = blocks * bsize;
      const reserve = Math.min(Math.max(RESERVE_BYTES, total * RESERVE_SHARE), total * RESERVE_AT_MOST);
      this.#room = bavail * bsize - reserve;
      this.#roomAt = Date.now();
    }
    return this.#room > bytes;
  }

  bodyWriter(id: string): BodyWriter {
    return new BodyWriter(this.#bodies, id);
  }

  /** Removes what was left of the body of a message that did not enter; only where nobody else writes one of that id. */
  removeStray(id: string): void {
    if (this.read(id).kind === 'gone') rmSync(this.#bodies.pathOf(id), { force: true });
  }

  /** Resolves when the message is on disk: the 250 may be sent. */
  async enter(id: string, envelope: Envelope, body: SealedBody): Promise<void> {
    if (this.isBroken) throw new Error('The queue had an I/O error and is not written any more');
    try {
      await this.#store.write((tables) => put(tables, { id, envelope, body }));
    } catch (error) {
      // Where the sync failed it was committed before: its client hears 4xx and will send it again.
      await this.#store.note((tables) => remove(tables, id)).catch(() => undefined);
      throw error;
    }
  }

  /** True after an I/O error: what this process wrote may not be what the disk has, so it must not write on. */
  get isBroken(): boolean {
    return this.fault !== undefined;
  }

  /** What that error was. */
  get fault(): string | undefined {
    return this.#store.fault;
  }

  /** The envelope and progress of a message. */
  read(id: string): Read {
    const bytes = this.#store.tables.records.get(id);
    return bytes ? decodeRecord(bytes) : { kind: 'gone' };
  }

  /** A message with its body, which was found whole. */
  load(id: string): Loaded {
    const read = this.read(id);
    if (read.kind !== 'message') return read;
    const { record } = read;
    const body = this.#bodyOf(id, record);
    return body
      ? { ...read, id, ...body }
      : { kind: 'damaged', message: 'the body is missing, cut short or altered' };
  }

  /**
   * Writes progress, and with it the messages that tell of it, or neither. Without recipients the message goes. What a
   * crash forgets is delivered again (at least once).
   */
  async settle(id: string, record: QueueRecord, news: readonly NewMessage[] = []): Promise<void> {
    const ends = record.recipients.length === 0;
    const change = (tables: Tables) => {
      for (const message of news) put(tables, message);
      if (ends) remove(tables, id);
      else tables.records.put(id, encodeRecord(record));
    };
    // A power loss may bring back a message that went, and it is delivered again; news it must not take away.
    if (ends && news.length === 0 && record.body === 'store') await this.#store.note(change);
    else await this.#store.write(change);
    // The file outlives the record, or a power loss would leave a message without its body.
    // One that cannot be removed now is swept at the next start.
    if (ends && record.body === 'file') await unlink(this.#bodies.pathOf(id)).catch(() => undefined);
  }

  /** Moves an entry that cannot be read out of the way, so that a person can look at it. */
  async setAside(id: string): Promise<void> {
    await this.#store.write(({ records, damaged }) => {
      const bytes = records.get(id);
      if (bytes) damaged.put(id, bytes);
      records.remove(id);
    });
  }

  /** Ids in order of arrival: all, or the next so many behind one of them. */
  list(after?: string, atMost?: number): string[] {
    return this.#store.tables.records.keys(after, atMost);
  }

  /** Queued messages; what was set aside is counted apart. */
  get depth(): number {
    return this.#store.tables.records.count();
  }

  get damaged(): number {
    return this.#store.tables.damaged.count();
  }

  /** Ids of what was set aside, in order of arrival. */
  listDamaged(): string[] {
    return this.#store.tables.damaged.keys();
  }

  /** Gives up what was set aside: a person wants it so. False where there is no such entry. */
  async discard(id: string): Promise<boolean> {
    if (!this.#store.tables.damaged.get(id)) return false;
    await this.#store.write(({ damaged, bodies }) => {
      damaged.remove(id);
      bodies.remove(id);
    });
    await rm(this.#bodies.pathOf(id), { force: true });
    return true;
  }

  /** Takes back what was set aside but can be read now: an older relay may not have known the format. */
  async restore(): Promise<void> {
    const { tables } = this.#store;
    for (const id of tables.damaged.keys()) {
      const bytes = tables.damaged.get(id);
      const decoded = bytes && decodeRecord(bytes);
      if (!bytes || decoded?.kind !== 'message' || !this.#bodyOf(id, decoded.record)) continue;
      await this.#store.write(({ records, damaged }) => {
        damaged.remove(id);
        records.put(id, bytes);
      });
    }
  }

  /** Removes body files that no record names: what a crash in mid-message left. Only while nobody writes. */
  sweep(): void {
    const { records, damaged } = this.#store.tables;
    for (const id of this.#bodies.ids()) {
      if (!records.get(id) && !damaged.get(id)) unlinkSync(this.#bodies.pathOf(id));
    }
  }

  /** Ends what is under way first. */
  async close(): Promise<void> {
    await this.#store.close();
    this.#bodies.close();
  }

  /** Undefined where the body is not whole. */
  #bodyOf(id: string, record: QueueRecord): Body | undefined {
    return record.body === 'file' ? this.#fileOf(id, record) : this.#inlineOf(id, record);
  }

  #fileOf(id: string, { bytes }: QueueRecord): Body | undefined {
    const path = this.#bodies.pathOf(id);
    if (statSync(path, { throwIfNoEntry: false })?.size !== bytes) return undefined;
    return { open: () => createReadStream(path), pieces: () => readPieces(path, bytes) };
  }

  #inlineOf(id: string, { crc }: QueueRecord): Body | undefined {
    const whole = this.#store.tables.bodies.get(id);
    if (!whole || crc32(whole) !== crc) return undefined;
    return { open: () => Readable.from([whole], { objectMode: false }), pieces: () => whole };
  }
}

/** Only inside a write, as `remove`. */
function put({ bodies, records }: Tables, { id, envelope, body }: NewMessage): void {
  const inline = body.kind === 'inline' ? body.bytes : undefined;
  const record: QueueRecord = {
    ...envelope,
    bytes: body.kind === 'inline' ? body.bytes.length : body.bytes,
    crc: inline ? crc32(inline) : 0,
    body: inline ? 'store' : 'file',
  };
  if (inline) bodies.put(id, inline);
  records.put(id, encodeRecord(record));
}

function remove({ bodies, records }: Tables, id: string): void {
  bodies.remove(id);
  records.remove(id);
}
