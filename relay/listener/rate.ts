/**
 * Messages per client in the current minute, and connections per client: what one listener process counts to keep
 * its share of a pod's limits. Memory is bounded: the window is cleared every minute, counts go when they reach zero.
 */
export class ClientCounts {
  readonly #open = new Map<string, number>();
  #window = new Map<string, number>();
  #minute = 0;

  opened(client: string): number {
    const count = (this.#open.get(client) ?? 0) + 1;
    this.#open.set(client, count);
    return count;
  }

  closed(client: string): void {
    const count = (this.#open.get(client) ?? 1) - 1;
    if (count > 0) this.#open.set(client, count);
    else this.#open.delete(client);
  }

  /** Counts one message; the number in this minute, this one included. */
  message(client: string, nowMs: number): number {
    const minute = Math.floor(nowMs / 60_000);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#window = new Map();
    }
    const count = (this.#window.get(client) ?? 0) + 1;
    this.#window.set(client, count);
    return count;
  }
}
