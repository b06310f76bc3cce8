/**
 * The timer of one connection: it ends what is awaited and does not come in time. There are several replies to each
 * message, so each wait only notes its deadline. A timer that fires before the deadline is armed again for the rest.
 */
import { monotonic } from '../task/clock.ts';

/**
 * Limits for an unanswered SYN, for one whole reply (RFC 5321 section 4.5.3.2), and for the reply to the final dot
 * (4.5.3.2.6).
 */
const MINUTE_MS = 60_000;
export const CONNECT_MS = MINUTE_MS;
export const REPLY_MS = 5 * MINUTE_MS;
export const FINAL_REPLY_MS = 10 * MINUTE_MS;
/** LMTP: what each further recipient adds to the time of all replies to a message. */
export const NEXT_REPLY_MS = MINUTE_MS;
/** The reply to QUIT changes next to nothing, so the connection waits only a short time for it. */
export const QUIT_REPLY_MS = 10_000;

export class LateTimer {
  readonly #onLate: (reason: string) => void;
  readonly #clock: () => number;
  #timer: NodeJS.Timeout | undefined;
  #firesAt = 0;
  /** Infinity: nothing is awaited. */
  #deadline = Number.POSITIVE_INFINITY;
  #reason = '';

  constructor(onLate: (reason: string) => void, clock = monotonic) {
    this.#onLate = onLate;
    this.#clock = clock;
  }

  /** Starts anew. `reason` says what did not come. */
  start(ms: number, reason: string): void {
    this.#deadline = this.#clock() + ms;
    this.#reason = reason;
    if (!this.#timer || this.#firesAt > this.#deadline) this.#arm(ms);
  }

  /** Nothing is awaited now. The next wait uses the same timer. */
  stop(): void {
    this.#deadline = Number.POSITIVE_INFINITY;
  }

  /** The connection has ended. */
  close(): void {
    this.stop();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** An open socket keeps the process alive, so the timer need not. */
  #arm(ms: number): void {
    clearTimeout(this.#timer);
    this.#firesAt = this.#clock() + ms;
    this.#timer = setTimeout(() => this.#fire(), ms).unref();
  }

  #fire(): void {
    this.#timer = undefined;
    // Timers know no fractions of a millisecond.
    const left = Math.trunc(this.#deadline - this.#clock());
    if (left <= 0) this.#onLate(this.#reason);
    else if (left < Number.POSITIVE_INFINITY) this.#arm(left);
  }
}
