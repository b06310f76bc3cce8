/**
 * Remembers for an hour which hops could not keep what a sender requires of TLS (requiretls.ts). One attempt asks a few hops
 * only. So the next one for such mail begins with those that were not asked yet, and knows of the others. Other mail goes to
 * all of them. This file has no clock of its own.
 */
import type { Failure } from '#crds/failure.ts';
import { dropOldest } from '../task/oldest.ts';
import type { NextHop } from './courier.ts';

const HOUR_MS = 3_600_000;
/** MX records can name very many hosts. Above this number the oldest entries are dropped. */
const REMEMBERED = 1_000;

interface Unfit {
  readonly hop: NextHop;
  readonly failure: Failure;
  readonly at: number;
}

export class UnfitHops {
  readonly #clock: () => number;
  readonly #keyOf: (hop: NextHop) => string;
  readonly #unfit = new Map<string, Unfit>();

  constructor(clock: () => number, keyOf: (hop: NextHop) => string) {
    this.#clock = clock;
    this.#keyOf = keyOf;
  }

  note(hop: NextHop, failure: Failure): void {
    const key = this.#keyOf(hop);
    this.#unfit.delete(key);
    this.#unfit.set(key, { hop, failure, at: this.#clock() });
    dropOldest(this.#unfit, REMEMBERED);
  }

  forget(which: (hop: NextHop) => boolean): void {
    for (const [key, { hop }] of this.#unfit) if (which(hop)) this.#unfit.delete(key);
  }

  find(hop: NextHop): Failure | undefined {
    return this.#find(hop)?.failure;
  }

  /** Keeps the order of the others. Of the unfit ones, the one that was asked first comes first. */
  putLast(hops: readonly NextHop[]): readonly NextHop[] {
    if (this.#unfit.size === 0) return hops;
    const askedAt = (hop: NextHop) => this.#find(hop)?.at;
    const unfit = hops.filter((hop) => askedAt(hop) !== undefined);
    const others = hops.filter((hop) => !unfit.includes(hop));
    return [...others, ...unfit.toSorted((a, b) => (askedAt(a) ?? 0) - (askedAt(b) ?? 0))];
  }

  #find(hop: NextHop): Unfit | undefined {
    const known = this.#unfit.get(this.#keyOf(hop));
    return known && known.at > this.#clock() - HOUR_MS ? known : undefined;
  }
}
