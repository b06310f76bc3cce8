/**
 * What has failed, by client and by user name. A failure delays the answers to the next wrong ones of both. A client with
 * many failures is refused without a check for a while. A good login of a client clears what was counted for it.
 *
 * A password may be a guess, so it counts from the beginning of its check: many at a time are no way around the limits. Until
 * its answer it also counts for its client and user name together, which no good login of another user clears: who knows one
 * password guesses those of others no faster. A token is no guess, so it holds no place. Memory is bounded: the entries with
 * the oldest failure are dropped. The clock comes from outside. Pure.
 */
import { dropOldest } from '../task/oldest.ts';

const WINDOW_MS = 10 * 60_000;
const FAILURES_UNTIL_DEAF = 20;
const ENTRIES = 10_000;
const FIRST_MS = 500;
const LONGEST_MS = 10_000;

/** `unavailable`: nobody could judge the attempt. */
export type Outcome = 'right' | 'wrong' | 'unavailable';

export interface Attempt {
  /** The check is over. */
  readonly checked: (outcome: Outcome) => void;
  /** How long the answer to a wrong one waits after its check. Nothing any more if a login succeeds meanwhile. */
  readonly delayMs: () => number;
  /** It has its answer. */
  readonly answered: () => void;
}

export class LoginThrottle {
  readonly #clients: Failures;
  readonly #users: Failures;
  /** Guesses under check, by client. */
  readonly #underWay = new Counts();
  /** Guesses without an answer, by client and user name. */
  readonly #unanswered = new Counts();

  constructor(clock: () => number) {
    this.#clients = new Failures(clock);
    this.#users = new Failures(clock);
  }

  /** The client is refused without a check. */
  isDeaf(client: string): boolean {
    return this.#clients.of(client) >= FAILURES_UNTIL_DEAF;
  }

  /** False: those before could turn out to be the last. */
  mayGuess(client: string, user: string): boolean {
    return (
      this.#clients.of(client) + this.#underWay.of(client) < FAILURES_UNTIL_DEAF &&
      this.#unanswered.of(pairOf(client, user)) < FAILURES_UNTIL_DEAF
    );
  }

  beginGuess(client: string, user: string): Attempt {
    const attempt = this.#begin([
      [this.#clients, client],
      [this.#users, user],
    ]);
    this.#underWay.add(client, 1);
    this.#unanswered.add(pairOf(client, user), 1);
    return {
      ...attempt,
      checked: (outcome) => {
        this.#underWay.add(client, -1);
        attempt.checked(outcome);
      },
      answered: () => this.#unanswered.add(pairOf(client, user), -1),
    };
  }

  /** It names nobody before it is verified. */
  beginToken(client: string): Attempt {
    return this.#begin([[this.#clients, client]]);
  }

  #begin(counted: readonly (readonly [Failures, string])[]): Attempt {
    let delays: readonly (() => number)[] = [];
    return {
      checked: (outcome) => {
        if (outcome === 'right') for (const [failures, key] of counted) failures.clear(key);
        if (outcome === 'wrong') delays = counted.map(([failures, key]) => failures.add(key));
      },
      delayMs: () => Math.max(0, ...delays.map((read) => read())),
      answered: () => undefined,
    };
  }
}

/** A client has no blank. */
function pairOf(client: string, user: string): string {
  return `${client} ${user}`;
}

class Failures {
  readonly #clock: () => number;
  readonly #known = new Map<string, { readonly count: number; readonly lastAt: number }>();

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  of(key: string): number {
    const known = this.#known.get(key);
    return known && this.#clock() - known.lastAt < WINDOW_MS ? known.count : 0;
  }

  clear(key: string): void {
    this.#known.delete(key);
  }

  /** Returns the delay of this one, by those before it. */
  add(key: string): () => number {
    const before = this.of(key);
    this.#known.delete(key);
    this.#known.set(key, { count: before + 1, lastAt: this.#clock() });
    dropOldest(this.#known, ENTRIES);
    const delayMs = before === 0 ? 0 : Math.min(LONGEST_MS, FIRST_MS * 2 ** (before - 1));
    return () => (this.of(key) === 0 ? 0 : delayMs);
  }
}

class Counts {
  readonly #counts = new Map<string, number>();

  of(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  add(key: string, more: number): void {
    const count = this.of(key) + more;
    if (count > 0) this.#counts.set(key, count);
    else this.#counts.delete(key);
  }
}
