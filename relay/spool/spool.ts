/**
 * The single place where bytes become durable: the queue of one relay, shared by its listener processes and its
 * router over one SQLite store. `enter` resolves only after the sync (group commit: what one process writes within
 * a few milliseconds shares a transaction and a sync), so that a 250 may follow. Entries that cannot be read are set
 * aside and counted, never deleted. Errors of the disk reject; nothing of a message that failed to enter remains, and the
 * store is recovered before it is written again.
 */
import { rmSync, statSync } from 'node:fs';
import { rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import { BodyWriter, type SealedBody } from './body.ts';
import { BodyFolder } from './bodyfolder.ts';
import { type Body, FileBodies } from './filebodies.ts';
import type { Checkpoints } from './openstore.ts';
import { decodeRecord, type Envelope, encodeRecord, type QueueRecord } from './record.ts';
import type { Recovered } from './recovery.ts';
import { Room } from './room.ts';
import { Store } from './store.ts';
import { Strays } from './strays.ts';
import type { Tables } from './tables.ts';

export { oldestUnanswered } from './unanswered.ts';

/** How often the router's end looks whether there is something to tidy, and how many of these looks go by a sweep. */
const TIDY_MS = 2_000;
const SWEEP_EVERY = 15;

export type Read =
  | { kind: 'message'; record: QueueRecord }
  | { kind: 'gone' }
  | { kind: 'damaged'; message: string };

export type Loaded =
  | ({ kind: 'message'; id: string; record: QueueRecord } & Body)
  | Exclude<Read, { kind: 'message' }>;

export interface NewMessage {
  readonly id: string;
  readonly envelope: Envelope;
  readonly body: SealedBody;
}

export interface SpoolOptions {
  /** Nobody has it open yet. */
  readonly isStart?: boolean;
  /** Told of what had to be done to the store after an error. */
  readonly onRecovered?: (recovered: Recovered) => void;
}

export class Spool {
  readonly #store: Store;
  readonly #bodies: BodyFolder;
  readonly #strays: Strays;
  readonly #room: Room;
  readonly #files: FileBodies;
  readonly #tidying: NodeJS.Timeout | undefined;

  /** `onSync` is called at each sync of the store. Who has early checkpoints also keeps it tidy. */
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
    const isNew = statSync(path, { throwIfNoEntry: false }) === undefined;
    if (isNew && this.#bodies.names().length > 0) this.#strays.keepAll();
    this.#store = new Store(path, {
      checkpoints,
      onSync,
      isStart,
      onRecovered: (recovered) => {
        if (recovered.kind === 'rebuilt') this.#strays.keepAll();
        onRecovered(recovered);
      },
    });
    this.#room = new Room(stateDir, () => this.#store.space);
    if (checkpoints === 'early') this.#tidying = this.#keepTidy();
  }

  /** True while a message of so many bytes may be taken. */
  hasRoom(bytes: number): boolean {
    return this.#room.has(bytes);
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
    try {
      await this.#store.write((tables) => put(tables, { id, envelope, body }));
    } catch (error) {
      // Where the sync failed it was committed before: its client hears 4xx and will send it again. This waits until the
      // store is recovered.
      await this.#store.note((tables) => remove(tables, id)).catch(() => undefined);
      throw error;
    }
  }

  /** True after an error of the disk, until the store is recovered. */
  get isBroken(): boolean {
    return this.fault !== undefined;
  }

  /** What that error was. */
  get fault(): string | undefined {
    return this.#store.fault;
  }

  /** The envelope and progress of a message. */
  read(id: string): Read {
    const bytes = this.#store.read(({ records }) => records.get(id));
    return bytes ? decodeRecord(bytes) : { kind: 'gone' };
  }

  /** A message with its body, which was found whole: by one read of the store. */
  load(id: string): Loaded {
    const row = this.#store.read(({ messages }) => messages.get(id));
    if (!row) return { kind: 'gone' };
    const decoded = decodeRecord(row.record);
    if (decoded.kind !== 'message') return decoded;
    const body = this.#bodyOf(id, decoded.record, row.body);
    return body
      ? { ...decoded, id, ...body }
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
    return this.#store.read(({ records }) => records.keys(after, atMost));
  }

  /** Queued messages; what was set aside is counted apart. */
  get depth(): number {
    return this.#store.read(({ records }) => records.count());
  }

  get damaged(): number {
    return this.#store.read(({ damaged }) => damaged.count());
  }

  /** Ids of what was set aside, in order of arrival. */
  listDamaged(): string[] {
    return this.#store.read(({ damaged }) => damaged.keys());
  }

  /** Gives up what was set aside: a person wants it so. False where there is no such entry. */
  async discard(id: string): Promise<boolean> {
    if (!this.#store.read(({ damaged }) => damaged.get(id))) return false;
    await this.#store.write(({ damaged, bodies }) => {
      damaged.remove(id);
      bodies.remove(id);
    });
    await rm(this.#bodies.pathOf(id), { force: true });
    return true;
  }

  /** Takes back what was set aside but can be read now: an older relay may not have known the format. */
  async restore(): Promise<void> {
    for (const id of this.listDamaged()) {
      const bytes = this.#store.read(({ damaged }) => damaged.get(id));
      const decoded = bytes && decodeRecord(bytes);
      if (!bytes || decoded?.kind !== 'message' || !this.#bodyOf(id, decoded.record, this.#storedBody(id)))
        continue;
      await this.#store.write(({ records, damaged }) => {
        damaged.remove(id);
        records.put(id, bytes);
      });
    }
  }

  /** Moves body files away that no record names: what a crash in mid-message left. Only while nobody writes. */
  sweep(): void {
    this.#strays.sweepAll();
  }

  /** The same while others write: only what processes left that are dead. */
  sweepLeft(): void {
    this.#strays.sweepLeft(performance.now());
  }

  /** Ends what is under way first. */
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

  #storedBody(id: string): Buffer | undefined {
    return this.#store.read(({ bodies }) => bodies.get(id));
  }

  /** Undefined where the body is not whole; `stored` is what the store has of it. */
  #bodyOf(id: string, record: QueueRecord, stored: Buffer | undefined): Body | undefined {
    if (record.body === 'file') return this.#files.find(id, record);
    if (!stored || crc32(stored) !== record.crc) return undefined;
    return { open: () => Readable.from([stored], { objectMode: false }), pieces: () => stored };
  }
}

/** Only inside a write, as `remove`. */
function put({ bodies, records }: Tables, { id, envelope, body }: NewMessage): void {
  const inline = body.kind === 'inline' ? body.bytes : undefined;
  const record: QueueRecord = {
    ...envelope,
    bytes: body.kind === 'inline' ? body.bytes.length : body.bytes,
    crc: body.kind === 'inline' ? crc32(body.bytes) : body.crc,
    body: inline ? 'store' : 'file',
  };
  if (inline) bodies.put(id, inline);
  records.put(id, encodeRecord(record));
}

function remove({ bodies, records }: Tables, id: string): void {
  bodies.remove(id);
  records.remove(id);
}
