/**
 * Keys that wait, each with the time since which it waits, by namespace. Within a namespace the first one waits longest.
 * The namespaces take turns: that whose last turn is longest ago comes first. Whoever looks for a key looks at one key of
 * each namespace, and not at all keys, because a namespace can have thousands. Pure.
 */
export class WaitingKeys {
  /** A namespace without keys is not in the map. */
  readonly #namespaces = new Map<string, Map<string, number>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The time since which the first key waits; undefined if no key waits. */
  get oldest(): number | undefined {
    const firsts = [...this.#namespaces.values()].flatMap((keys) => keys.values().next().value ?? []);
    return firsts.length > 0 ? Math.min(...firsts) : undefined;
  }

  has(key: string): boolean {
    return this.#namespaces.get(readNamespace(key))?.has(key) ?? false;
  }

  add(key: string, since: number): void {
    if (this.has(key)) return;
    const namespace = readNamespace(key);
    const keys = this.#namespaces.get(namespace) ?? new Map<string, number>();
    this.#namespaces.set(namespace, keys.set(key, since));
    this.#size += 1;
  }

  /** The time since which the key has waited; undefined if it did not. Its namespace has had its turn. */
  take(key: string): number | undefined {
    const namespace = readNamespace(key);
    const keys = this.#namespaces.get(namespace);
    const since = keys?.get(key);
    if (!keys || since === undefined) return undefined;
    keys.delete(key);
    this.#size -= 1;
    this.#namespaces.delete(namespace);
    if (keys.size > 0) this.#namespaces.set(namespace, keys);
    return since;
  }

  clear(): void {
    this.#namespaces.clear();
    this.#size = 0;
  }

  /** The first key of each namespace, in the order of turns. */
  *firsts(): Iterable<readonly [namespace: string, key: string]> {
    for (const [namespace, keys] of this.#namespaces) {
      const key = keys.keys().next().value;
      if (key !== undefined) yield [namespace, key];
    }
  }
}

export function readNamespace(key: string): string {
  const end = key.indexOf('/');
  return end === -1 ? key : key.slice(0, end);
}
