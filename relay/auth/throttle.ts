/**
 * Attempts to log in. Each counts when it begins, so many of them at a time are no way around the limits. A failure delays
 * the next answers for its client and for its user name, and those under way count as failures in that delay. A client
 * with many failures is refused without a check for a while. Where one failure more could be the last, its further
 * attempts wait for those under way. Memory is bounded: the entries with the oldest failure are dropped. This file has no
 * clock of its own.
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
  /** How long its answer waits from its beginning on. Nothing any more if a login succeeds meanwhile. */
  readonly delayMs: () => number;
  readonly ended: (outcome: Outcome) => void;
}

export class LoginThrottle {
  readonly #clients: Tally;
  readonly #users: Tally;
  /** Attempts that wait for those under way, by client. */
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(clock: () => number) {
    this.#clients = new Tally(clock);
    this.#users = new Tally(clock);
  }

  /** Undefined: the client is refused without a check. `user` is empty for a token, which names nobody. */
  async begin(client: string, user: string): Promise<Attempt | undefined> {
    const isDeaf = () => this.#clients.failures(client) >= FAILURES_UNTIL_DEAF;
    while (!isDeaf() && this.#clients.count(client) >= FAILURES_UNTIL_DEAF) await this.#turn(client);
    if (isDeaf()) return undefined;
    const [ofClient, ofUser] = [this.#clients.begin(client), this.#users.begin(user)];
    return {
      delayMs: () => Math.max(ofClient.delayMs(), ofUser.delayMs()),
      ended: (outcome) => {
        ofClient.ended(outcome);
        ofUser.ended(outcome);
        this.#wakeAll(client);
      },
    };
  }

  #turn(client: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.#waiting.get(client);
    if (waiting) waiting.push(resolve);
    else this.#waiting.set(client, [resolve]);
    return promise;
  }

  #wakeAll(client: string): void {
    const waiting = this.#waiting.get(client) ?? [];
    this.#waiting.delete(client);
    for (const wake of waiting) wake();
  }
}

interface Failures {
  count: number;
  lastAt: number;
}

/** The attempts of clients, or with user names: what has failed, and what is under way. */
class Tally {
  readonly #clock: () => number;
  readonly #failures = new Map<string, Failures>();
  readonly #underWay = new Map<string, number>();

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  failures(key: string): number {
    const known = this.#failures.get(key);
    return known && this.#clock() - known.lastAt < WINDOW_MS ? known.count : 0;
  }

  count(key: string): number {
    return this.failures(key) + (this.#underWay.get(key) ?? 0);
  }

  begin(key: string): Attempt {
    // A token names no user.
    if (key === '') return { delayMs: () => 0, ended: () => undefined };
    const before = this.count(key);
    this.#underWay.set(key, (this.#underWay.get(key) ?? 0) + 1);
    return {
      // Good logins at a time wait for nobody.
      delayMs: () => (this.failures(key) === 0 ? 0 : Math.min(LONGEST_MS, FIRST_MS * 2 ** (before - 1))),
      ended: (outcome) => this.#ended(key, outcome),
    };
  }

  /** Who knows one password may still guess those of other users, so the delay of those stays. */
  #ended(key: string, outcome: Outcome): void {
    const others = (this.#underWay.get(key) ?? 0) - 1;
    if (others > 0) this.#underWay.set(key, others);
    else this.#underWay.delete(key);
    if (outcome === 'right') this.#failures.delete(key);
    else if (outcome === 'wrong') this.#fail(key);
  }

  #fail(key: string): void {
    const count = this.failures(key) + 1;
    this.#failures.delete(key);
    this.#failures.set(key, { count, lastAt: this.#clock() });
    dropOldest(this.#failures, ENTRIES);
  }
}
