/**
 * Recipients that bounced, by address in lower case. What they mean is decided elsewhere (relay/suppression): here they are
 * bytes that survive.
 */
import { CheckedValues } from './checkedvalues.ts';
import type { Store } from './store.ts';

export class Suppressions {
  readonly #values: CheckedValues;

  constructor(store: Store) {
    this.#values = new CheckedValues(store, 'suppressed');
  }

  find(address: string): Buffer | undefined {
    return this.#values.get(address);
  }

  /** In order of the addresses, after this one. */
  list(after: string, atMost: number): { address: string; value: Buffer }[] {
    return this.#values.list(after, atMost).map(({ key, value }) => ({ address: key, value }));
  }

  get size(): number {
    return this.#values.size;
  }

  /** Reads and writes in one step. Undefined removes the address. */
  change(address: string, change: (before: Buffer | undefined) => Buffer | undefined): Promise<void> {
    return this.#values.change(address, change);
  }

  /** Removes those that `list` could not read, and returns how many there were. */
  removeDamaged(): Promise<number> {
    return this.#values.removeDamaged();
  }
}
