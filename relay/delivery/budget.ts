/**
 * The time budget of one attempt. It covers all phases up to DATA: name look-ups, connections, greetings, handshakes,
 * login and envelope. A slow next hop, or a thousand next hops, cannot keep an attempt longer. Timers are monotonic.
 */

/** RFC 5321 section 4.5.3.2 gives most single replies five minutes. */
const ATTEMPT_MS = 10 * 60_000;

export class AttemptBudget {
  readonly #over = new Set<() => void>();
  readonly #timer: NodeJS.Timeout;
  #isOver = false;

  constructor(ms = ATTEMPT_MS) {
    this.#timer = setTimeout(() => this.#end(), ms);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Calls `callback` once when the time is over, or at once if it is over already. Returns a function that cancels the call. */
  whenOver(callback: () => void): () => void {
    if (this.#isOver) callback();
    else this.#over.add(callback);
    return () => this.#over.delete(callback);
  }

  /** Waits for the promise. Undefined if the time is over first. */
  async within<T>(promise: Promise<T>): Promise<T | undefined> {
    const { promise: over, resolve } = Promise.withResolvers<undefined>();
    if (this.#isOver) return undefined;
    const forget = this.whenOver(() => resolve(undefined));
    try {
      return await Promise.race([promise, over]);
    } finally {
      forget();
    }
  }

  /** Call this when the attempt has ended. */
  close(): void {
    clearTimeout(this.#timer);
    this.#over.clear();
  }

  #end(): void {
    this.#isOver = true;
    for (const callback of [...this.#over]) callback();
    this.#over.clear();
  }
}
