/**
 * Recipients that bounced, by address in lower case. What they mean is decided elsewhere (relay/suppression): here they are
 * bytes that survive.
 */
import type { Store } from './store.ts';

export class Suppressions {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  find(address: string): Buffer | undefined {
    return this.#store.read(({ suppressed }) => suppressed.get(address));
  }

  /** In order of the addresses, after this one. */
  list(after: string, atMost: number): { address: string; value: Buffer }[] {
    return this.#store.read(({ suppressed }) =>
      suppressed
        .keys(after, atMost)
        .map((address) => ({ address, value: suppressed.get(address) ?? Buffer.alloc(0) })),
    );
  }

  get size(): number {
    return this.#store.read(({ suppressed }) => suppressed.count());
  }

  /** Reads and writes in one step. Undefined removes the address. */
  change(address: string, change: (before: Buffer | undefined) => Buffer | undefined): Promise<void> {
    return this.#store.note(({ suppressed }) => {
      const after = change(suppressed.get(address));
      if (after) suppressed.put(address, after);
      else suppressed.remove(address);
    });
  }
}
