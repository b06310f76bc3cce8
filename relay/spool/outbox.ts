/**
 * Events that were written together with the change that they tell of, and wait to be sent. They are bounded by their
 * sender (relay/events), because nobody waits for them.
 */
import type { Store } from './store.ts';
import type { Tables } from './tables.ts';

export interface SpoolEvent {
  /** In the order of time, and unique: newQueueId makes it. */
  readonly key: string;
  readonly value: Buffer;
}

export class Outbox {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The oldest ones. */
  list(atMost: number): SpoolEvent[] {
    return this.#store.read(({ events }) =>
      events.keys('', atMost).map((key) => ({ key, value: events.get(key) ?? Buffer.alloc(0) })),
    );
  }

  get size(): number {
    return this.#store.read(({ events }) => events.count());
  }

  /** A power loss may bring them back. */
  forget(keys: readonly string[]): Promise<void> {
    return this.#store.note(({ events }) => {
      for (const key of keys) events.remove(key);
    });
  }

  /** Drops the oldest ones. */
  async drop(count: number): Promise<void> {
    await this.#store.note(({ events }) => {
      for (const key of events.keys('', count)) events.remove(key);
    });
  }
}

/** Call this only inside a write. */
export function putEvents({ events }: Tables, news: readonly SpoolEvent[]): void {
  for (const { key, value } of news) events.put(key, value);
}
