/**
 * Time limits of jobs. A job that has ended leaves nothing behind: the timer of AbortSignal.timeout would stay, with all
 * that hangs on its signal, until its time is over.
 */
export class TimeLimits {
  readonly #running = new Set<AbortController>();
  #isClosed = false;

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The signal ends the job when its time is over, or when the limits are closed. */
  async run<T>(ms: number, job: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    if (this.#isClosed) controller.abort();
    const timer = setTimeout(() => controller.abort(), ms).unref();
    this.#running.add(controller);
    try {
      return await job(controller.signal);
    } finally {
      clearTimeout(timer);
      this.#running.delete(controller);
    }
  }

  /** Ends all jobs. */
  close(): void {
    this.#isClosed = true;
    for (const controller of this.#running) controller.abort();
  }
}
