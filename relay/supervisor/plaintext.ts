/**
 * Which clients sent mail in plain text in the last 24 hours: those that Required would refuse. Bounded: beyond that
 * the oldest are forgotten, so the count is a floor.
 */
const DAY_MS = 24 * 3_600_000;
const CLIENTS = 100_000;

export class PlaintextClients {
  readonly #clock: () => number;
  /** In order of last sight. */
  readonly #seen = new Map<string, number>();

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  saw(client: string): void {
    this.#seen.delete(client);
    this.#seen.set(client, this.#clock());
    if (this.#seen.size > CLIENTS) this.#forgetOldest();
  }

  get count(): number {
    for (const at of this.#seen.values()) {
      if (at > this.#clock() - DAY_MS) break;
      this.#forgetOldest();
    }
    return this.#seen.size;
  }

  #forgetOldest(): void {
    const [oldest] = this.#seen.keys();
    if (oldest !== undefined) this.#seen.delete(oldest);
  }
}
