/** Open connections by client. A count is removed at zero, so memory is bounded by the open connections. */
export class ClientCounts {
  readonly #counts = new Map<string, number>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  of(client: string): number {
    return this.#counts.get(client) ?? 0;
  }

  add(client: string, count = 1): void {
    this.#counts.set(client, this.of(client) + count);
    this.#total += count;
  }

  /** False if there is nothing to remove. */
  remove(client: string, count = 1): boolean {
    const left = this.of(client) - count;
    if (left < 0) return false;
    if (left > 0) this.#counts.set(client, left);
    else this.#counts.delete(client);
    this.#total -= count;
    return true;
  }

  /** Empties `other`, so nothing is subtracted twice: a dead process may still have told of ended connections. */
  subtract(other: ClientCounts): void {
    for (const [client, count] of other.#counts) this.remove(client, count);
    other.#counts.clear();
    other.#total = 0;
  }
}
