/**
 * A bounded number of jobs at a time. A job that finds no slot waits for one until its signal ends. A job that nobody
 * wants any more waits for none, and gives its slot up to the next job that wants one. Each job must end.
 */
import { type Claim, claimToTheEnd } from './claim.ts';

export class Slots {
  #free: number;
  readonly #running = new Set<Claim>();
  readonly #waiting = new Map<Claim, () => void>();

  constructor(free: number) {
    this.#free = free;
  }

  /** Undefined if the signal or the claim ended before there was a slot. The job ends with its claim. */
  async run<T>(signal: AbortSignal, job: () => Promise<T>, claim = claimToTheEnd()): Promise<T | undefined> {
    if (!(await this.#take(claim, signal))) return undefined;
    try {
      return await job();
    } finally {
      this.#running.delete(claim);
      this.#release();
    }
  }

  /** Nobody wants this job any more. */
  leave(claim: Claim): void {
    const isInTheWay = this.#running.has(claim) && this.#waiting.size > 0;
    if (isInTheWay || this.#waiting.has(claim)) claim.end();
  }

  async #take(claim: Claim, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted || claim.ended.aborted) return false;
    if (this.#free > 0) {
      this.#free -= 1;
      this.#running.add(claim);
      return true;
    }
    if (!claim.isWanted) {
      claim.end();
      return false;
    }
    return this.#wait(claim, AbortSignal.any([signal, claim.ended]));
  }

  async #wait(claim: Claim, given: AbortSignal): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#waiting.set(claim, () => resolve(true));
    const giveUp = () => resolve(!this.#waiting.delete(claim));
    given.addEventListener('abort', giveUp, { once: true });
    this.#findUnwanted()?.end();
    const isTaken = await promise;
    given.removeEventListener('abort', giveUp);
    return isTaken;
  }

  #findUnwanted(): Claim | undefined {
    return this.#running.values().find((claim) => !claim.isWanted && !claim.ended.aborted);
  }

  /** The slot goes to the job that waits for the longest time. */
  #release(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    const [claim, taken] = next;
    this.#waiting.delete(claim);
    this.#running.add(claim);
    taken();
  }
}
