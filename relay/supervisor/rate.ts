/**
 * Messages in the current minute, by whoever sends them. Kept by the supervisor for all listener processes, so that
 * limits are exact and outlive a change of policy. Memory is bounded: the window is cleared every minute.
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
