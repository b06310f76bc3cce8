/**
 * Copies the readable content of a damaged store into a new one, and reports what is lost. Each table has two trees,
 * one for its rows and one for its keys. If a part of the rows cannot be reached, the keys tell which rows are missing,
 * and the pages outside all trees are searched for them. If only the key of a message is left, or a record that is no
 * record any more, the entry is set aside with what is left, so it is counted and a person sees it. The checksum of a
 * body is checked later, as always.
 */
import { constants } from 'node:buffer';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { decodeValue } from './checkedvalue.ts';
import { reportProgress } from './diskpulse.ts';
import { type LogContents, readAt, readLog } from './logfile.ts';
import { OpenStore } from './openstore.ts';
import { decodeRecord, encodeRecord, isQueueId, isWholeRecord, type QueueRecord } from './record.ts';
import {
  PAGE_BYTES,
  type Pages,
  type Row,
  readFreePages,
  readRoots,
  rowsOnPage,
  type Tree,
  walkRows,
} from './sqlitefile.ts';
import { TABLE_NAMES, type TableName, type Tables } from './tables.ts';

export interface Salvaged {
  /** Queued messages. */
  readonly messages: number;
  /** Ids of the entries that were set aside. */
  readonly lost: readonly string[];
}

const AT_ONCE = 100;
const NOTHING = Buffer.alloc(0);

const MAIL: readonly TableName[] = ['records', 'bodies', 'damaged'];

/**
 * The usual root pages of the tables and keys, if the file does not tell: the order in which they are created. In a store
 * of an earlier version the last table came later: it lies anywhere, and mail lies in its usual place. So it has none.
 */
const USUAL_ROOTS = new Map(
  TABLE_NAMES.slice(0, -1).flatMap((name, index) => [
    [name as string, 2 * index + 2],
    [keyIndexName(name), 2 * index + 3],
  ]),
);

/** A page of one table may lie in the place of a page of another one, and bytes may be wrong: this tells them apart. */
const FITS: { readonly [Name in TableName]: (key: string, value: Buffer) => boolean } = {
  records: (_key, value) => isWholeRecord(value),
  bodies: (_key, value) => !isWholeRecord(value),
  damaged: () => true,
  events: (key, value) => isQueueId(key) && readValue(key, value) !== undefined,
  suppressed: (key, value) => !isQueueId(key) && hasMember(key, value, 'bounces'),
  shaping: (key, value) => !isQueueId(key) && hasMember(key, value, 'kind'),
};

/** An address may be any text, so its value tells what it is about. */
function hasMember(key: string, stored: Buffer, name: string): boolean {
  const value = readValue(key, stored);
  return value !== undefined && Object.hasOwn(JSON.parse(value) as object, name);
}

function readValue(key: string, stored: Buffer): string | undefined {
  return stored.length > constants.MAX_STRING_LENGTH ? undefined : decodeValue(key, stored.toString());
}

function keyIndexName(name: TableName): string {
  return `sqlite_autoindex_${name}_1`;
}

/**
 * `to` must not exist. When this returns, it is complete and closed, with the messages of `behind` that it lacked. Throws
 * if the disk gives nothing of the store: it may do so later.
 */
export function salvage(path: string, to: string, behind: readonly Row[] = []): Salvaged {
  const store = new OpenStore(to, 'late');
  const file = new StoreFile(path);
  try {
    const rescue = new Rescue(file, store);
    rescue.copyTables();
    if (rescue.rows === 0 && file.unreadable > 0)
      throw new Error(`the disk cannot read ${file.unreadable} of its ${file.count} pages`);
    const lost = rescue.setAsideLost();
    enterMissing(store, behind);
    // On a full disk SQLite closes a store without an error, and a part of it stays in its log.
    store.emptyLog();
    return { messages: store.tables.records.count(), lost };
  } finally {
    file.close();
    store.close();
  }
}

/**
 * Rows in whole log frames behind a broken frame, or in all of a log whose file is gone. SQLite drops these frames, but
 * they may have been acknowledged, or were under way at a power loss. Rows on pages that became free later are left out.
 */
export function rowsBehindBreak(path: string, log?: string): Row[] {
  const file = new StoreFile(path, log);
  try {
    const pages = file.withBehind();
    const free = readFreePages(pages);
    return file.strayed.filter((page) => !free.has(page)).flatMap((page) => rowsOnPage(pages, page));
  } finally {
    file.close();
  }
}

/** Enters the messages that the store does not have. Returns their number. */
export function enterMissing(store: OpenStore, rows: readonly Row[]): number {
  const { records, damaged } = store.tables;
  const missing = new Map<string, QueueRecord>();
  for (const { key, value = NOTHING } of rows) {
    const decoded = decodeRecord(value);
    if (decoded.kind === 'message' && !records.get(key) && !damaged.get(key))
      missing.set(key, decoded.record);
  }
  store.transact((tables) => {
    for (const [id, record] of missing) tables.records.put(id, encodeRecord(record));
    for (const { key, value } of rows)
      if (value && crc32(value) === missing.get(key)?.crc) tables.bodies.put(key, value);
  });
  return missing.size;
}

/** A store's file together with its log. */
class StoreFile implements Pages {
  readonly count: number;
  /** Reads that the disk refused. */
  unreadable = 0;
  readonly #file: number;
  readonly #log: number | undefined;
  readonly #isEmpty: boolean;
  readonly #contents: LogContents = { taken: new Map(), behind: new Map(), end: undefined };

  constructor(path: string, log = `${path}-wal`) {
    this.#file = openSync(path, 'r');
    this.#log = openWhereThere(log);
    if (this.#log !== undefined) this.#contents = readLog(this.#log);
    const inFile = Math.ceil(fstatSync(this.#file).size / PAGE_BYTES);
    this.#isEmpty = inFile === 0;
    this.count = [...this.#contents.taken.keys()].reduce((most, page) => Math.max(most, page), inFile);
  }

  page(number: number): Buffer | undefined {
    const place = this.#contents.taken.get(number);
    if (place !== undefined && this.#log !== undefined) return readAt(this.#log, place, PAGE_BYTES);
    return readAt(this.#file, (number - 1) * PAGE_BYTES, PAGE_BYTES, () => {
      this.unreadable += 1;
    });
  }

  /** Pages that have a newer image behind a break in the log. All pages of the log, if the file has none. */
  get strayed(): number[] {
    const { taken, behind } = this.#contents;
    return [...(this.#isEmpty ? taken.keys() : []), ...behind.keys()];
  }

  withBehind(): Pages {
    const { behind } = this.#contents;
    return {
      count: Math.max(this.count, ...behind.keys()),
      page: (number) => {
        const place = behind.get(number);
        return place === undefined || this.#log === undefined
          ? this.page(number)
          : readAt(this.#log, place, PAGE_BYTES);
      },
    };
  }

  close(): void {
    closeSync(this.#file);
    if (this.#log !== undefined) closeSync(this.#log);
  }
}

function openWhereThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

class Rescue {
  /** How many rows of mail were copied. */
  rows = 0;
  readonly #pages: Pages;
  readonly #store: OpenStore;
  readonly #roots: ReadonlyMap<string, number>;
  readonly #areRootsKnown: boolean;
  readonly #seen = new Set<number>();
  /** Ids that the keys of each table name but that were not found yet. */
  readonly #missing: Record<TableName, Set<string>>;
  #waiting: ((tables: Tables) => void)[] = [];

  constructor(pages: Pages, store: OpenStore) {
    this.#pages = pages;
    this.#store = store;
    const roots = readRoots(pages);
    this.#areRootsKnown = roots !== undefined;
    this.#roots = roots ?? USUAL_ROOTS;
    const keys = TABLE_NAMES.map((name) => [name, this.#keys(name)]);
    this.#missing = Object.fromEntries(keys) as Record<TableName, Set<string>>;
  }

  copyTables(): void {
    let broken = 0;
    for (const name of TABLE_NAMES)
      broken += walkRows(this.#pages, this.#tree('table', name), this.#seen, (row) => this.#copy(name, row));
    if (broken > 0 || !this.#areRootsKnown || TABLE_NAMES.some((name) => this.#missing[name].size > 0))
      this.#searchStrayPages((row) => {
        const name = this.#tableMissing(row);
        if (name) this.#copy(name, row);
      });
    this.#write();
  }

  /** Sets missing entries aside, and also bodies whose record is missing. Returns their ids. */
  setAsideLost(): string[] {
    const { records, bodies, damaged } = this.#store.tables;
    const lost = [...this.#missing.records, ...this.#missing.damaged];
    for (const id of bodies.keys()) {
      reportProgress();
      if (!records.get(id) && !damaged.get(id)) lost.push(id);
    }
    const unique = [...new Set(lost)].filter((id) => !records.get(id));
    for (const id of unique) this.#soon((tables) => tables.damaged.put(id, NOTHING));
    this.#write();
    if (unique.length > 0) this.#keepRemains(new Set(unique));
    return unique.toSorted();
  }

  /** What is left of their records. It comes last, because a body may lie in the place of a record that is whole elsewhere. */
  #keepRemains(lost: ReadonlySet<string>): void {
    const keep = ({ key, value = NOTHING }: Row) => {
      if (!lost.has(key) || this.#store.tables.bodies.get(key)?.equals(value)) return;
      this.#soon((tables) => {
        if (tables.damaged.get(key)?.length === 0) tables.damaged.put(key, value);
      });
    };
    walkRows(this.#pages, this.#tree('table', 'records'), this.#seen, keep);
    this.#searchStrayPages(keep);
    this.#write();
  }

  #keys(name: TableName): Set<string> {
    const keys = new Set<string>();
    walkRows(this.#pages, this.#tree('index', keyIndexName(name)), this.#seen, ({ key }) => keys.add(key));
    return keys;
  }

  #tree(kind: Tree['kind'], name: string): Tree {
    return { kind, root: this.#roots.get(name) ?? 0 };
  }

  #copy(name: TableName, { key, value }: Row): void {
    if (!value || !FITS[name](key, value)) return;
    this.#missing[name].delete(key);
    if (MAIL.includes(name)) this.rows += 1;
    this.#soon((tables) => tables[name].put(key, value));
  }

  /** A free page may contain rows that were deleted long ago, so only missing rows may be taken. */
  #searchStrayPages(found: (row: Row) => void): void {
    const free = readFreePages(this.#pages);
    for (let number = 2; number <= this.#pages.count; number++)
      if (!this.#seen.has(number) && !free.has(number)) rowsOnPage(this.#pages, number).forEach(found);
  }

  #tableMissing({ key, value = NOTHING }: Row): TableName | undefined {
    const named = TABLE_NAMES.find((name) => this.#missing[name].has(key) && FITS[name](key, value));
    // Its keys may not be found either. A row that was deleted does no harm: its time is over.
    return named ?? (this.#areRootsKnown || !FITS.shaping(key, value) ? undefined : 'shaping');
  }

  #soon(change: (tables: Tables) => void): void {
    if (this.#waiting.push(change) >= AT_ONCE) this.#write();
  }

  #write(): void {
    const changes = this.#waiting;
    this.#waiting = [];
    this.#store.transact((tables) => {
      for (const change of changes) change(tables);
    });
    this.#store.copyLongLog();
    reportProgress();
  }
}
