/** The tables of the store: bytes by key. Errors are thrown with SQLite's code. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

/**
 * In the order of their creation, which is also their order in the file (salvage.ts). The last three hold no mail: what
 * must be told to others, recipients that bounced, by address, and what limits must not forget (relay/queue).
 */
export const TABLE_NAMES = ['records', 'bodies', 'damaged', 'events', 'suppressed', 'shaping'] as const;
export type TableName = (typeof TABLE_NAMES)[number];
export type SideName = Extract<TableName, 'events' | 'suppressed' | 'shaping'>;

export type Tables = { readonly [Name in TableName]: Table } & { readonly messages: Messages };

/** No limit, in SQL. */
const ALL = -1;

export interface Row {
  /** Valid inside one transaction. */
  readonly rowId: number;
  /** Undefined if damage has made it something else than a text. */
  readonly key: string | undefined;
  /** JSON: only tables beside the mail are read by rows. */
  readonly value: string;
}

interface StoredRow {
  readonly rowid: number;
  readonly key: unknown;
  readonly value: string;
}

class Table {
  readonly #get: StatementSync;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #keys: StatementSync;
  readonly #rows: StatementSync;
  readonly #row: StatementSync;
  readonly #removeRow: StatementSync;
  readonly #removeAll: StatementSync;
  readonly #removeFirst: StatementSync;
  readonly #count: StatementSync;

  constructor(database: DatabaseSync, name: TableName) {
    this.#get = database.prepare(`SELECT value FROM ${name} WHERE key = ?`);
    this.#put = database.prepare(`INSERT OR REPLACE INTO ${name} (key, value) VALUES (?, ?)`);
    this.#remove = database.prepare(`DELETE FROM ${name} WHERE key = ?`);
    this.#removeAll = database.prepare(`DELETE FROM ${name} WHERE key IN (SELECT value FROM json_each(?))`);
    this.#removeFirst = database.prepare(
      `DELETE FROM ${name} WHERE rowid IN (SELECT rowid FROM ${name} ORDER BY key LIMIT ?)`,
    );
    this.#removeRow = database.prepare(`DELETE FROM ${name} WHERE rowid = ?`);
    // A text costs half as much as bytes, each of which would be an object outside the heap.
    const row = `SELECT rowid, key, CAST(value AS TEXT) AS value FROM ${name}`;
    this.#row = database.prepare(`${row} WHERE rowid = ?`);
    this.#rows = database.prepare(`${row} WHERE key >= ? ORDER BY key LIMIT ? OFFSET ?`);
    this.#keys = database.prepare(`SELECT key FROM ${name} WHERE key > ? ORDER BY key LIMIT ?`);
    this.#count = database.prepare(`SELECT count(*) AS count FROM ${name}`);
  }

  get(key: string): Buffer | undefined {
    const row = this.#get.get(key) as { value: Uint8Array } | undefined;
    return row && viewBuffer(row.value);
  }

  /** Call this only inside a transaction, as those that remove. */
  put(key: string, value: Buffer): void {
    this.#put.run(key, value);
  }

  remove(key: string): void {
    this.#remove.run(key);
  }

  /** The same for many keys, by one statement. */
  removeAll(keys: readonly string[]): void {
    this.#removeAll.run(JSON.stringify(keys));
  }

  /** The first ones in the order of their keys, damaged ones too. */
  removeFirst(count: number): void {
    this.#removeFirst.run(count);
  }

  /** A damaged key finds no row. */
  removeRow(rowId: number): void {
    this.#removeRow.run(rowId);
  }

  /** Rows in the order of their keys, after the key `after` and `skipped` others. */
  rows(after: string | undefined, atMost = ALL, skipped = 0): Row[] {
    // A damaged key may be empty.
    const from = after === undefined ? '' : `${after}\0`;
    return this.#rows.all(from, atMost, skipped).map((row) => this.#view(row as unknown as StoredRow));
  }

  row(rowId: number): Row | undefined {
    const row = this.#row.get(rowId) as StoredRow | undefined;
    return row && this.#view(row);
  }

  /** A key that is no UTF-8 is read as another one, which has no row. */
  #view({ rowid: rowId, key, value }: StoredRow): Row {
    const isSound = typeof key === 'string' && (!key.includes('\ufffd') || this.#get.get(key) !== undefined);
    return { rowId, key: isSound ? key : undefined, value };
  }

  /** Keys in order, after the key `after`. */
  keys(after = '', atMost = ALL): string[] {
    return this.#keys.all(after, atMost).map((row) => (row as { key: string }).key);
  }

  count(): number {
    return (this.#count.get() as { count: number }).count;
  }
}

/** Reads a record and its body with one statement. */
class Messages {
  readonly #get: StatementSync;

  constructor(database: DatabaseSync) {
    this.#get = database.prepare(
      `SELECT records.value AS record, bodies.value AS body FROM records
       LEFT JOIN bodies ON bodies.key = records.key WHERE records.key = ?`,
    );
  }

  /** `body` is undefined if it is a file, or missing. */
  get(key: string): { record: Buffer; body: Buffer | undefined } | undefined {
    const row = this.#get.get(key) as { record: Uint8Array; body: Uint8Array | null } | undefined;
    return (
      row && { record: viewBuffer(row.record), body: row.body === null ? undefined : viewBuffer(row.body) }
    );
  }
}

/** A damaged row may have a number or a text in the place of the bytes. What is empty fits no checksum. */
function viewBuffer(value: Uint8Array): Buffer {
  if (!(value instanceof Uint8Array)) return Buffer.alloc(0);
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

/** Creates the tables that are missing. */
export function openTables(database: DatabaseSync): Tables {
  for (const name of TABLE_NAMES)
    database.exec(`CREATE TABLE IF NOT EXISTS ${name} (key TEXT PRIMARY KEY, value BLOB NOT NULL)`);
  return {
    records: new Table(database, 'records'),
    bodies: new Table(database, 'bodies'),
    damaged: new Table(database, 'damaged'),
    messages: new Messages(database),
    events: new Table(database, 'events'),
    suppressed: new Table(database, 'suppressed'),
    shaping: new Table(database, 'shaping'),
  };
}

export type Change = (tables: Tables) => void;

/** One change that makes all of them, in their order. */
export function joinChanges(changes: readonly Change[]): Change {
  return (tables) => {
    for (const change of changes) change(tables);
  };
}
