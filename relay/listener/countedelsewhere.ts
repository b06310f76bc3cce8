/**
 * Counts that the supervisor keeps for all listener processes, so that a limit is exact and survives a change of
 * policy. This file asks and waits for the answer. Without a supervisor there is no answer, but then this process ends.
 */
import type { CountedBy } from '../task/messages.ts';

export class CountedElsewhere {
  readonly #ask: (ask: number, of: CountedBy, who: string) => void;
  readonly #waiting = new Map<number, (count: number) => void>();
  #last = 0;

  constructor(ask: (ask: number, of: CountedBy, who: string) => void) {
    this.#ask = ask;
  }

  count(of: CountedBy, who: string): Promise<number> {
    const ask = ++this.#last;
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#waiting.set(ask, resolve);
    this.#ask(ask, of, who);
    return promise;
  }

  answered(ask: number, count: number): void {
    this.#waiting.get(ask)?.(count);
    this.#waiting.delete(ask);
  }
}
