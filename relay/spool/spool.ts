/**
 * The only place where bytes become durable. The spool is the queue of one relay in one SQLite store, shared by the
 * listener processes and the router. `enter` resolves only after the sync, so a 250 may follow. Group commit: messages
 * that one process enters within a few milliseconds share a transaction and a sync. Unreadable entries are set aside
 * and counted, never deleted. Disk errors reject. A message that failed to enter leaves nothing behind, and the store
 * is recovered before the next write.
 */
import { rmSync, statSync } from 'node:fs';
import { rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import { BodyWriter, type SealedBody } from './body.ts';
import { BodyFolder } from './bodyfolder.ts';
import { type Body, FileBodies } from './filebodies.ts';
import { LastingFault } from './lastingfault.ts';
import { type NewMessage, put, remove } from './newmessage.ts';
import type { Checkpoints } from './openstore.ts';
import { Outbox, putEvents, removeEvents, type SpoolEvent } from './outbox.ts';
import { decodeRecord, type Envelope, encodeRecord, type QueueRecord } from './record.ts';
import type { Recovered } from './recovery.ts';
import { Room } from './room.ts';
import { SideTable } from './sidetable.ts';
import { Store } from './store.ts';
import { Strays } from './strays.ts';
import type { Change, Tables } from './tables.ts';

export { diskPulse } from './diskpulse.ts';
export type { NewMessage } from './newmessage.ts';
export type { SpoolEvent } from './outbox.ts';

/** How often the router checks for upkeep work, and after how many checks it sweeps. */
const TIDY_MS = 2_000;
const SWEEP_EVERY = 15;

export type Read =
  | { kind: 'message'; record: QueueRecord }
  | { kind: 'gone' }
  | { kind: 'damaged'; message: string };

export type Loaded =
  | ({ kind: 'message'; id: string; record: QueueRecord } & Body)
  | Exclude<Read, { kind: 'message' }>;

export interface SpoolOptions {
  /** No process has the store open yet. */
  readonly isStart?: boolean;
  /** Called with what recovery did after an error. */
  readonly onRecovered?: (recovered: Recovered) => void;
}

export class Spool {
  readonly #lasting = new LastingFault(() => performance.now());
  readonly #store: Store;
  readonly #bodies: BodyFolder;
  readonly #strays: Strays;
  readonly #room: Room;
  readonly #files: FileBodies;
  readonly outbox: Outbox;
  /** Recipients that bounced, by address in lower case. */
  readonly suppressions: SideTable;
  /** What limits have counted, and who asked for fewer messages. */
  readonly shaping: SideTable;
  readonly #tidying: NodeJS.Timeout | undefined;

  /** `onSync` is called at each sync of the store. The process with early checkpoints also does the upkeep. */
  constructor(
    stateDir: string,
    onSync: () => void = () => undefined,
    checkpoints: Checkpoints = 'early',
    { isStart = false, onRecovered = () => undefined }: SpoolOptions = {},
  ) {
    this.#bodies = new BodyFolder(join(stateDir, 'bodies'));
    this.#strays = new Strays(this.#bodies, join(stateDir, 'strays'), (id) => this.#isNamed(id));
    this.#files = new FileBodies(this.#bodies, this.#strays);
    const path = join(stateDir, 'queue.db');
    const isNew = (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0;
    let left = isNew ? this.#bodies.names().length : 0;
    if (left > 0) this.#strays.keepAll();
    this.#store = new Store(path, {
      checkpoints,
      onSync,
      isStart,
      onRecovered: (recovered) => {
        if (recovered.kind === 'rebuilt') left = 0;
        onRecovered(recovered);
      },
      onReplace: () => this.#strays.keepAll(),
    });
    if (left > 0) onRecovered({ kind: 'begun-anew', bodies: left });
    this.outbox = new Outbox(this.#store);
    this.suppressions = new SideTable(this.#store, 'suppressed');
    this.shaping = new SideTable(this.#store, 'shaping');
    this.#room = new Room(stateDir, () => this.#store.space);
    if (checkpoints === 'early') this.#tidying = this.#keepTidy();
  }

  /** True if a message of this size may be taken. */
  hasRoom(bytes: number): boolean {
    return this.#room.has(bytes);
  }

  bodyWriter(id: string): BodyWriter {
    return new BodyWriter(this.#bodies, id);
  }

  /** For a message that is not complete until somebody has judged it. It is read and discarded, and never entered. */
  draftWriter(id: string): BodyWriter {
    return new BodyWriter(this.#bodies, `${id}-received`);
  }

  /** Removes the rest of the body of a message that did not enter. Nobody else may write a body of this id. */
  removeStray(id: string): void {
    if (this.read(id).kind === 'gone') rmSync(this.#bodies.pathOf(id), { force: true });
  }

  /** Resolves when the message is on disk: the 250 may be sent. */
  enter(id: string, envelope: Envelope, body: SealedBody, events: readonly SpoolEvent[] = []): Promise<void> {
    const write: Change = (tables) => {
      put(tables, { id, envelope, body });
      putEvents(tables, events);
    };
    // The client gets 4xx and will send the message again.
    const undo: Change = (tables) => {
      remove(tables, id);
      removeEvents(tables, events);
    };
    return this.#store.write(write, undo);
  }

  /** True if the message is on disk and whole, whoever wrote it. A sync covers what all processes wrote before it. */
  async confirm(id: string): Promise<boolean> {
    await this.#store.write(() => undefined);
    return this.load(id).kind === 'message';
  }

  /**
   * Discards the body of a message whose entry was rejected. A record that was committed but not synced is taken back
   * later. Until then it needs its body: this process may end before.
   */
  async giveUp(id: string, body: BodyWriter): Promise<void> {
    await body.discard(this.#mayBeNamed(id));
  }

  /** True after a disk error, until the store is recovered. */
  get isBroken(): boolean {
    return this.#store.fault !== undefined;
  }

  /**
   * The text of the error that this process could not recover the store from. To be asked again and again; the process
   * then ends, because another one may recover it.
   */
  lastingFault(): string | undefined {
    return this.#lasting.lasts(this.#store.fault) ? this.#store.fault : undefined;
  }

  /** The envelope and progress of a message. */
  read(id: string): Read {
    const bytes = this.#store.read(({ records }) => records.get(id));
    return bytes ? decodeRecord(bytes) : { kind: 'gone' };
  }

  /** A message with its body, which was found complete, in one read of the store. */
  load(id: string): Loaded {
    const row = this.#store.read(({ messages }) => messages.get(id));
    if (!row) return { kind: 'gone' };
    const decoded = decodeRecord(row.record);
    if (decoded.kind !== 'message') return decoded;
    const body = this.#findBody(id, decoded.record, row.body);
    return body
      ? { ...decoded, id, ...body }
      : { kind: 'damaged', message: 'the body is missing, cut short or altered' };
  }

  /**
   * Writes the progress of a message together with new messages about it, such as a bounce, or neither. A message
   * without recipients is removed. A write that a crash loses leads to a second delivery (at least once).
   */
  settle(
    id: string,
    record: QueueRecord,
    news: readonly NewMessage[] = [],
    events: readonly SpoolEvent[] = [],
  ): Promise<void> {
    const ends = record.recipients.length === 0;
    const change = (tables: Tables) => {
      for (const message of news) put(tables, message);
      putEvents(tables, events);
      if (ends) remove(tables, id);
      else tables.records.put(id, encodeRecord(record));
    };
    // A power loss may bring a removed message back, and it is delivered again. But a power loss must not remove a new
    // message, so that case is synced.
    if (ends && news.length === 0 && record.body === 'store') return this.#store.note(change);
    const written = this.#store.write(change);
    if (!ends || record.body === 'store') return written;
    // After the record: a power loss must leave no message without a body. A file that stays is swept at a start.
    return written.then(() => unlink(this.#bodies.pathOf(id)).catch(() => undefined));
  }

  /** Moves an unreadable entry aside, so that a person can look at it. */
  async setAside(id: string): Promise<void> {
    await this.#store.write(({ records, damaged }) => {
      const bytes = records.get(id);
      if (bytes) damaged.put(id, bytes);
      records.remove(id);
    });
  }

  /** Ids in order of arrival: all, or at most `atMost` after the id `after`. */
  list(after?: string, atMost?: number): string[] {
    return this.#store.read(({ records }) => records.keys(after, atMost));
  }

  /** The number of queued messages. Entries that were set aside are counted apart. */
  get depth(): number {
    return this.#store.read(({ records }) => records.count());
  }

  get damaged(): number {
    return this.#store.read(({ damaged }) => damaged.count());
  }

  /** Ids of the entries that were set aside, in order of arrival. */
  listDamaged(): string[] {
    return this.#store.read(({ damaged }) => damaged.keys());
  }

  /** Deletes an entry that was set aside, because a person asked for it. False if there is no such entry. */
  async discard(id: string): Promise<boolean> {
    if (!this.#store.read(({ damaged }) => damaged.get(id))) return false;
    await this.#store.write(({ damaged, bodies }) => {
      damaged.remove(id);
      bodies.remove(id);
    });
    await rm(this.#bodies.pathOf(id), { force: true });
    return true;
  }

  /** Returns entries to the queue that were set aside but can be read now: an older relay may not know a format. */
  async restore(): Promise<void> {
    for (const id of this.listDamaged()) {
      const [bytes, body] = this.#store.read(({ damaged, bodies }) => [damaged.get(id), bodies.get(id)]);
      const decoded = bytes && decodeRecord(bytes);
      if (!bytes || decoded?.kind !== 'message' || !this.#findBody(id, decoded.record, body)) continue;
      await this.#store.write(({ records, damaged }) => {
        damaged.remove(id);
        records.put(id, bytes);
      });
    }
  }

  /** Moves body files aside that no record names: a crash left them. Call this only while nobody writes. */
  sweep(): void {
    this.#strays.sweepAll();
  }

  /** The same while other processes write: only files of dead processes are moved. */
  sweepLeft(): void {
    this.#strays.sweepLeft(performance.now());
  }

  /** Finishes pending writes first. */
  async close(): Promise<void> {
    clearInterval(this.#tidying);
    await this.#store.close();
    this.#bodies.close();
  }

  #keepTidy(): NodeJS.Timeout {
    let looks = 0;
    return setInterval(() => {
      this.#store.tidyWhenQuiet();
      looks = (looks + 1) % SWEEP_EVERY;
      if (looks === 0 && !this.isBroken) this.sweepLeft();
    }, TIDY_MS).unref();
  }

  #isNamed(id: string): boolean {
    return this.#store.read(({ records, damaged }) => records.get(id) ?? damaged.get(id)) !== undefined;
  }

  #mayBeNamed(id: string): boolean {
    try {
      return this.#isNamed(id);
    } catch {
      return true;
    }
  }

  /** Undefined if the body is not complete. `stored` is the body in the store. */
  #findBody(id: string, record: QueueRecord, stored: Buffer | undefined): Body | undefined {
    if (record.body === 'file') return this.#files.find(id, record);
    if (!stored || crc32(stored) !== record.crc) return undefined;
    return { open: () => Readable.from([stored], { objectMode: false }), pieces: () => stored };
  }
}
