/**
 * Connections of peers that have proven nothing yet: siblings before the proof of their key, and everybody who asks for
 * a policy of MTA-STS. If there are too many of them, the oldest one of the address with the most connections is
 * ended, so that many connections of one peer keep no other peer out. Pure.
 */

/** For one address. A sibling opens this many at a time. */
const PER_ADDRESS = 8;
const IN_ALL = 64;

interface Stranger {
  readonly address: string;
  readonly end: () => void;
}

export class Strangers {
  /** In order of arrival. */
  readonly #all = new Set<Stranger>();

  get size(): number {
    return this.#all.size;
  }

  /** Returns a function that removes the connection. `end` is called if the connection must make room. */
  add(address: string, end: () => void): () => void {
    const stranger = { address, end };
    const counts = this.#counts();
    if ((counts.get(address) ?? 0) >= PER_ADDRESS) this.#endOldest(address);
    else if (this.#all.size >= IN_ALL) this.#endOldest(mostFrequent(counts));
    this.#all.add(stranger);
    return () => void this.#all.delete(stranger);
  }

  endAll(): void {
    for (const { end } of this.#all) end();
  }

  #counts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { address } of this.#all) counts.set(address, (counts.get(address) ?? 0) + 1);
    return counts;
  }

  #endOldest(address: string | undefined): void {
    const oldest = this.#all.values().find((one) => one.address === address);
    if (!oldest) return;
    this.#all.delete(oldest);
    oldest.end();
  }
}

/** Of equal counts, the address that came first. */
function mostFrequent(counts: ReadonlyMap<string, number>): string | undefined {
  const most = Math.max(...counts.values());
  return counts.entries().find(([, count]) => count === most)?.[0];
}
