/**
 * Time limits of jobs. Nobody waits for a job whose time is over, whatever the job does. A job that has ended leaves
 * nothing behind: the timer of AbortSignal.timeout would stay, with all that hangs on its signal, until its time is over.
 */
import { within } from '../task/within.ts';

export class TimeLimits {
  readonly #running = new Set<AbortController>();
  #isClosed = false;

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Undefined if the time of the job was over, or the limits were closed, before it ended. The signal tells the job. */
  async run<T>(ms: number, job: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    const controller = new AbortController();
    if (this.#isClosed) controller.abort();
    const timer = setTimeout(() => controller.abort(), ms).unref();
    this.#running.add(controller);
    try {
      return await within(controller.signal, job(controller.signal));
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
