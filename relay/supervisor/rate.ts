/**
 * Messages in the current minute for each client. The supervisor counts for all listener processes, so limits are exact
 * and survive a change of policy. Memory is bounded, because the counts are cleared every minute.
 */
export class MessageRate {
  #window = new Map<string, number>();
  #minute = 0;

  /** Counts one message. Returns the number in this minute, this message included. */
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
