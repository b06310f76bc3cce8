/** A bounded number of jobs at a time. A job that finds no slot waits for one until its signal ends. Each job must end. */
export class Slots {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(free: number) {
    this.#free = free;
  }

  /** Undefined if the signal ended before there was a slot. */
  async run<T>(signal: AbortSignal, job: () => Promise<T>): Promise<T | undefined> {
    if (!(await this.#take(signal))) return undefined;
    try {
      return await job();
    } finally {
      this.#release();
    }
  }

  async #take(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    if (this.#free > 0) {
      this.#free -= 1;
      return true;
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const taken = () => resolve(true);
    this.#waiting.add(taken);
    const ended = () => resolve(!this.#waiting.delete(taken));
    signal.addEventListener('abort', ended, { once: true });
    const isTaken = await promise;
    signal.removeEventListener('abort', ended);
    return isTaken;
  }

  /** The slot goes to the job that waits for the longest time. */
  #release(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#free += 1;
    else {
      this.#waiting.delete(next);
      next();
    }
  }
}
