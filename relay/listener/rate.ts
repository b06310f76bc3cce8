/**
 * Messages per client in the current minute, as one listener process counts them. Memory is bounded: the window is
 * cleared every minute. The supervisor sends a client whose messages are counted always to the same process.
 */
export class MessageRate {
  #window = new Map<string, number>();
  #minute = 0;

  /** Counts one message; the number in this minute, this one included. */
  count(client: string, nowMs: number): number {
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
