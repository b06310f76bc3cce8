/** The tables of the store: bytes by key. What SQLite finds wrong is thrown with its code. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

/** In the order in which they are made, which is that of their places in the file (salvage.ts). */
export const TABLE_NAMES = ['records', 'bodies', 'damaged'] as const;
export type TableName = (typeof TABLE_NAMES)[number];

export type Tables = { readonly [Name in TableName]: Table };

/** As SQL has it. */
const ALL = -1;

class Table {
  readonly #get: StatementSync;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #keys: StatementSync;
  readonly #count: StatementSync;

  constructor(database: DatabaseSync, name: TableName) {
    this.#get = database.prepare(`SELECT value FROM ${name} WHERE key = ?`);
    this.#put = database.prepare(`INSERT OR REPLACE INTO ${name} (key, value) VALUES (?, ?)`);
    this.#remove = database.prepare(`DELETE FROM ${name} WHERE key = ?`);
    this.#keys = database.prepare(`SELECT key FROM ${name} WHERE key > ? ORDER BY key LIMIT ?`);
    this.#count = database.prepare(`SELECT count(*) AS count FROM ${name}`);
  }

  get(key: string): Buffer | undefined {
    const row = this.#get.get(key) as { value: Uint8Array } | undefined;
    return row && Buffer.from(row.value.buffer, row.value.byteOffset, row.value.byteLength);
  }

  /** Only inside a transaction, as `remove`. */
  put(key: string, value: Buffer): void {
    this.#put.run(key, value);
  }

  remove(key: string): void {
    this.#remove.run(key);
  }

  /** In order, those behind `after`. */
  keys(after = '', atMost = ALL): string[] {
    return this.#keys.all(after, atMost).map((row) => (row as { key: string }).key);
  }

  count(): number {
    return (this.#count.get() as { count: number }).count;
  }
}

/** Makes those that are not there. */
export function openTables(database: DatabaseSync): Tables {
  for (const name of TABLE_NAMES)
    database.exec(`CREATE TABLE IF NOT EXISTS ${name} (key TEXT PRIMARY KEY, value BLOB NOT NULL)`);
  return {
    records: new Table(database, 'records'),
    bodies: new Table(database, 'bodies'),
    damaged: new Table(database, 'damaged'),
  };
}
