/**
 * A table of the store beside the mail. What its values mean is decided elsewhere (relay/suppression, relay/events,
 * relay/queue). A value whose checksum does not fit is never returned. It is noted, and removed on request, because
 * nobody can mend it and everything else goes on without it.
 */
import { decodeValue, encodeValue } from './checkedvalue.ts';
import type { Store } from './store.ts';
import type { Change, Row, SideName, Tables } from './tables.ts';

export interface KeyedValue {
  readonly key: string;
  /** A JSON object. */
  readonly value: string;
}

export class SideTable {
  readonly #store: Store;
  readonly #name: SideName;
  /** Row ids. */
  readonly #damaged = new Set<number>();

  constructor(store: Store, name: SideName) {
    this.#store = store;
    this.#name = name;
  }

  find(key: string): string | undefined {
    return this.#store.read((tables) => getChecked(tables[this.#name], key));
  }

  /** In order of the keys, after the key `after`. An empty list is the end. */
  list(after?: string, atMost?: number): KeyedValue[] {
    return this.#store.read(({ [this.#name]: table }) => {
      for (let skipped = 0; ; ) {
        const rows = table.rows(after, atMost, skipped);
        const values = rows.flatMap((row) => {
          const value = decodeRow(row);
          if (!value) this.#damaged.add(row.rowId);
          return value ?? [];
        });
        if (values.length > 0 || rows.length === 0) return values;
        skipped += rows.length;
      }
    });
  }

  get size(): number {
    return this.#store.read((tables) => tables[this.#name].count());
  }

  /** Reads and writes in one step. Undefined removes the value. */
  change(key: string, change: (before: string | undefined) => string | undefined): Promise<void> {
    return this.#store.note(({ [this.#name]: table }) => {
      const after = change(getChecked(table, key));
      if (after) table.put(key, encodeValue(key, after));
      else table.remove(key);
    });
  }

  /** Gives a value another key in one step. Of two values `choose` returns the one that stays. */
  move(from: string, to: string, choose: (one: string, other: string) => string): Promise<void> {
    return this.#store.note(({ [this.#name]: table }) => {
      const [moved, there] = [from, to].map((key) => getChecked(table, key));
      if (moved) table.put(to, encodeValue(to, there ? choose(there, moved) : moved));
      table.remove(from);
    });
  }

  /** Writes all of these, or none. Undefined removes the value. */
  put(values: ReadonlyMap<string, string | undefined>): Promise<void> {
    return this.#store.note(({ [this.#name]: table }) => {
      for (const [key, value] of values) {
        if (value) table.put(key, encodeValue(key, value));
        else table.remove(key);
      }
    });
  }

  note(change: Change): Promise<void> {
    return this.#store.note(change);
  }

  /** Removes what `list` found damaged, and returns how many there were. */
  async removeDamaged(): Promise<number> {
    if (this.#damaged.size === 0) return 0;
    const rowIds = [...this.#damaged];
    let removed = 0;
    await this.#store.note(({ [this.#name]: table }) => {
      // Somebody may have written a new value since, or given the row id to another one.
      const damaged = rowIds.filter((rowId) => {
        const row = table.row(rowId);
        return row && !decodeRow(row);
      });
      for (const rowId of damaged) table.removeRow(rowId);
      removed = damaged.length;
    });
    this.#damaged.clear();
    return removed;
  }
}

/** Undefined if the row is damaged. */
function decodeRow({ key, value: stored }: Row): KeyedValue | undefined {
  const value = key === undefined ? undefined : decodeValue(key, stored);
  return key !== undefined && value ? { key, value } : undefined;
}

function getChecked(table: Tables[SideName], key: string): string | undefined {
  return decodeValue(key, table.get(key)?.toString());
}

/** Call this only inside a write. */
export function putChecked(table: Tables[SideName], { key, value }: KeyedValue): void {
  table.put(key, encodeValue(key, value));
}
