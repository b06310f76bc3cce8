/**
 * A table of the store beside the mail: JSON by key. What it means is decided elsewhere (relay/suppression, relay/events). Each value has a checksum over its key and its text, so the value of
 * another key does not fit. What does not fit is never returned. It is noted, and removed on request, because nobody can
 * mend it and everything else goes on without it.
 */
import { crc32 } from 'node:zlib';
import type { Store } from './store.ts';
import type { Change, Tables } from './tables.ts';

type Name = 'events' | 'suppressed';

export interface KeyedValue {
  readonly key: string;
  readonly value: Buffer;
}

/** A stored value is JSON too: the checksum in hexadecimal digits, and the value behind it. */
const CHECKSUM = { before: '{"crc":"', digits: 8, behind: '","value":' };
const HEAD_BYTES = CHECKSUM.before.length + CHECKSUM.digits + CHECKSUM.behind.length;

export class SideTable {
  readonly #store: Store;
  readonly #name: Name;
  readonly #damaged = new Set<string>();

  constructor(store: Store, name: Name) {
    this.#store = store;
    this.#name = name;
  }

  find(key: string): Buffer | undefined {
    return this.#store.read((tables) => readChecked(key, tables[this.#name].get(key)));
  }

  /** In order of the keys, after the key `after`. An empty list is the end. */
  list(after?: string, atMost?: number): KeyedValue[] {
    return this.#store.read(({ [this.#name]: table }) => {
      for (let from = after; ; ) {
        const keys = table.keys(from, atMost);
        const values = keys.flatMap((key) => {
          const value = readChecked(key, table.get(key));
          if (!value) this.#damaged.add(key);
          return value ? [{ key, value }] : [];
        });
        const last = keys.at(-1);
        if (values.length > 0 || last === undefined) return values;
        from = last;
      }
    });
  }

  get size(): number {
    return this.#store.read((tables) => tables[this.#name].count());
  }

  /** Reads and writes in one step. Undefined removes the value. */
  change(key: string, change: (before: Buffer | undefined) => Buffer | undefined): Promise<void> {
    return this.#store.note(({ [this.#name]: table }) => {
      const after = change(readChecked(key, table.get(key)));
      if (after) table.put(key, checked(key, after));
      else table.remove(key);
    });
  }

  note(change: Change): Promise<void> {
    return this.#store.note(change);
  }

  /** Removes what `list` found damaged, and returns how many there were. */
  async removeDamaged(): Promise<number> {
    const keys = [...this.#damaged];
    if (keys.length === 0) return 0;
    let removed = 0;
    await this.#store.note(({ [this.#name]: table }) => {
      // Somebody may have written a new value since.
      const damaged = keys.filter((key) => !readChecked(key, table.get(key)));
      for (const key of damaged) table.remove(key);
      removed = damaged.length;
    });
    this.#damaged.clear();
    return removed;
  }
}

/** Call this only inside a write. */
export function putChecked(table: Tables[Name], { key, value }: KeyedValue): void {
  table.put(key, checked(key, value));
}

function checked(key: string, value: Buffer): Buffer {
  const { before, behind } = CHECKSUM;
  return Buffer.concat([Buffer.from(`${before}${sum(key, value)}${behind}`), value, Buffer.from('}')]);
}

/** Undefined if there is none, or if it is damaged. An earlier version wrote JSON without a checksum. */
function readChecked(key: string, stored: Buffer | undefined): Buffer | undefined {
  if (!stored) return undefined;
  const value = stored.subarray(HEAD_BYTES, -1);
  if (stored.equals(checked(key, value))) return value;
  const isOld = !stored.subarray(0, CHECKSUM.before.length).equals(Buffer.from(CHECKSUM.before));
  return isOld && isObject(stored) ? stored : undefined;
}

function isObject(text: Buffer): boolean {
  try {
    const value: unknown = JSON.parse(text.toString());
    return typeof value === 'object' && value !== null;
  } catch {
    return false;
  }
}

function sum(key: string, value: Buffer): string {
  return crc32(value, crc32(key)).toString(16).padStart(CHECKSUM.digits, '0');
}
