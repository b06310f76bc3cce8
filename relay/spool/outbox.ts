/**
 * Events that were written together with the change that they tell of, and wait to be sent. They are bounded by their
 * sender (relay/events), because nobody waits for them.
 */
import { type KeyedValue, putChecked, SideTable } from './sidetable.ts';
import type { Store } from './store.ts';
import type { Tables } from './tables.ts';

/** The key is in the order of time, and unique: newQueueId makes it. */
export type SpoolEvent = KeyedValue;

export class Outbox {
  readonly #store: Store;
  readonly #values: SideTable;

  constructor(store: Store) {
    this.#store = store;
    this.#values = new SideTable(store, 'events');
  }

  /** Resolves when these are on disk: they tell of a message that enters no queue. */
  async add(events: readonly SpoolEvent[]): Promise<void> {
    await this.#store.write(
      (tables) => putEvents(tables, events),
      (tables) => removeEvents(tables, events),
    );
  }

  /** The oldest ones. */
  list(atMost: number): SpoolEvent[] {
    return this.#values.list(undefined, atMost);
  }

  get size(): number {
    return this.#values.size;
  }

  /** A power loss may bring them back. */
  forget(keys: readonly string[]): Promise<void> {
    return this.#values.note(({ events }) => events.removeAll(keys));
  }

  /** Drops the oldest ones. */
  async drop(count: number): Promise<void> {
    await this.#values.note(({ events }) => events.removeFirst(count));
  }

  /** Drops those that `list` could not read, and returns how many there were. */
  dropDamaged(): Promise<number> {
    return this.#values.removeDamaged();
  }
}

/** Call this only inside a write. */
export function putEvents({ events }: Tables, news: readonly SpoolEvent[]): void {
  for (const one of news) putChecked(events, one);
}

/** The same. */
export function removeEvents({ events }: Tables, news: readonly SpoolEvent[]): void {
  events.removeAll(news.map(({ key }) => key));
}
