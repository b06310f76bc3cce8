/**
 * The time budget of one attempt. It covers all phases up to DATA: name look-ups, connections, greetings, handshakes,
 * login and envelope. A slow next hop, or a thousand next hops, cannot keep an attempt longer. Timers are monotonic.
 */

/** RFC 5321 section 4.5.3.2 gives most single replies five minutes. */
const ATTEMPT_MS = 10 * 60_000;

/** What people read when the time is over. */
export const OVERDUE = 'the attempt took longer than ten minutes';
/** Nobody reads it. Without a reason Node makes an error each time. */
const ENDED = 'the attempt has ended';

export class AttemptBudget {
  readonly #callbacks = new Set<() => void>();
  readonly #timer: NodeJS.Timeout;
  /** Resolves when the time is over. Made for the first wait, because most messages wait for no look-up. */
  #over: PromiseWithResolvers<undefined> | undefined;
  #closing: AbortController | undefined;
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
    else this.#callbacks.add(callback);
    return () => this.#callbacks.delete(callback);
  }

  /** Waits for the value, if it is not there yet. Undefined if the time is over first. */
  async within<T>(value: T | Promise<T>): Promise<T | undefined> {
    if (this.#isOver || !(value instanceof Promise)) return this.#isOver ? undefined : value;
    this.#over ??= Promise.withResolvers<undefined>();
    return Promise.race([value, this.#over.promise]);
  }

  /** Ends with the attempt. Made for the first who asks, before `close`: a signal costs as much as parts of the delivery. */
  get closed(): AbortSignal {
    this.#closing ??= new AbortController();
    return this.#closing.signal;
  }

  /** Call this when the attempt has ended. */
  close(): void {
    clearTimeout(this.#timer);
    this.#callbacks.clear();
    this.#closing?.abort(ENDED);
  }

  #end(): void {
    this.#isOver = true;
    this.#over?.resolve(undefined);
    for (const callback of [...this.#callbacks]) callback();
    this.#callbacks.clear();
  }
}
