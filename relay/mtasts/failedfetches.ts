/** Fetches of policies that failed, by domain. None is made again too early, unless the record has another id. Pure. */
import type { Failure } from '#crds/failure.ts';
import { dropOldest } from '../task/oldest.ts';

/** RFC 8461 section 3.3: five minutes or longer. */
const RETRY_MS = 5 * 60_000;
const MOST_REMEMBERED = 10_000;

interface FailedFetch {
  readonly id: string;
  readonly at: number;
  readonly failure: Failure;
}

export class FailedFetches {
  /** In the order of time. */
  readonly #failed = new Map<string, FailedFetch>();

  /** Undefined: it is time for a fetch. */
  find(domain: string, id: string, now: number): Failure | undefined {
    const failed = this.#failed.get(domain);
    return failed?.id === id && Math.abs(now - failed.at) < RETRY_MS ? failed.failure : undefined;
  }

  remember(domain: string, failed: FailedFetch): void {
    this.#failed.delete(domain);
    this.#failed.set(domain, failed);
    dropOldest(this.#failed, MOST_REMEMBERED);
  }

  forget(domain: string): void {
    this.#failed.delete(domain);
  }
}
