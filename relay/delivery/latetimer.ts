/**
 * The timer of one connection: it ends what is awaited and does not come in time. There are several replies to each
 * message, so a timer that waits for the same already is only set back, which costs less than a new one.
 */

/**
 * Limits for an unanswered SYN, for one whole reply (RFC 5321 section 4.5.3.2), and for the reply to the final dot
 * (4.5.3.2.6).
 */
const MINUTE_MS = 60_000;
export const CONNECT_MS = MINUTE_MS;
export const REPLY_MS = 5 * MINUTE_MS;
export const FINAL_REPLY_MS = 10 * MINUTE_MS;
/** The reply to QUIT changes nothing, so the connection waits only a short time for it. */
export const QUIT_REPLY_MS = 10_000;

export class LateTimer {
  readonly #onLate: (reason: string) => void;
  #timer: NodeJS.Timeout | undefined;
  #ms = 0;
  #reason = '';

  constructor(onLate: (reason: string) => void) {
    this.#onLate = onLate;
  }

  /** Starts anew. `reason` says what did not come. */
  start(ms: number, reason: string): void {
    if (this.#timer && this.#ms === ms && this.#reason === reason) {
      this.#timer.refresh();
      return;
    }
    this.stop();
    this.#ms = ms;
    this.#reason = reason;
    this.#timer = setTimeout(() => this.#onLate(reason), ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
