/**
 * The timer of one connection: it ends what is awaited and does not come in time. There are several replies to each
 * message, so a timer that waits for the same already is only set back, which costs less than a new one.
 */
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
