/**
 * Attempts to log in. A failure delays the answers to the next wrong ones of its client and for its user name. A good login
 * is answered at once. A client with many failures is refused without a check for a while.
 *
 * A password may be a guess, so it counts from the beginning of its check until its answer: many at a time are no way around
 * the limits. Where one failure more could be the last, the further passwords of a client wait for those before, unless
 * their session ends. A token is no guess, so it waits for nobody, and nobody for it. Memory is bounded: the entries with the
 * oldest failure are dropped, and who waits has a session. This file has no clock of its own.
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
  /** A wrong one has waited. */
  readonly answered: () => void;
}

export interface Guess {
  readonly client: string;
  /** Undefined: a token. It names nobody before it is verified. */
  readonly user: string | undefined;
  /** Aborts when the session ends. */
  readonly session: AbortSignal;
}

export class LoginThrottle {
  readonly #clients: Tally;
  readonly #users: Tally;
  /** Attempts that wait for those before, by client. */
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(clock: () => number) {
    this.#clients = new Tally(clock);
    this.#users = new Tally(clock);
  }

  /** Undefined: the client is refused without a check, or has gone. */
  async begin({ client, user, session }: Guess): Promise<Attempt | undefined> {
    const isDeaf = () => this.#clients.failures(client) >= FAILURES_UNTIL_DEAF;
    if (user === undefined) return isDeaf() ? undefined : this.#clients.beginToken(client);
    while (!session.aborted && !isDeaf() && this.#clients.count(client) >= FAILURES_UNTIL_DEAF)
      await this.#turn(client, session);
    if (session.aborted || isDeaf()) return undefined;
    const both = [this.#clients.begin(client), this.#users.begin(user)];
    return {
      checked: (outcome) => {
        for (const one of both) one.checked(outcome);
        this.#wakeAll(client);
      },
      delayMs: () => Math.max(...both.map((one) => one.delayMs())),
      answered: () => {
        for (const one of both) one.answered();
        this.#wakeAll(client);
      },
    };
  }

  async #turn(client: string, session: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    const waiting = this.#waiting.get(client) ?? new Set();
    this.#waiting.set(client, waiting.add(wake));
    session.addEventListener('abort', wake, { once: true });
    await promise;
    session.removeEventListener('abort', wake);
    waiting.delete(wake);
    if (waiting.size === 0 && this.#waiting.get(client) === waiting) this.#waiting.delete(client);
  }

  #wakeAll(client: string): void {
    const waiting = this.#waiting.get(client) ?? new Set();
    this.#waiting.delete(client);
    for (const wake of waiting) wake();
  }
}

interface Failures {
  count: number;
  lastAt: number;
}

/** The attempts of clients, or with user names: what has failed, and what is not answered yet. */
class Tally {
  readonly #clock: () => number;
  readonly #failures = new Map<string, Failures>();
  /** Under check. */
  readonly #underWay = new Counts();
  /** Wrong ones that wait for their answer. A good login does not end that wait of other users. */
  readonly #held = new Counts();

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  failures(key: string): number {
    const known = this.#failures.get(key);
    return known && this.#clock() - known.lastAt < WINDOW_MS ? known.count : 0;
  }

  /** A wrong one that waits is one of the failures, until a good login clears those. */
  count(key: string): number {
    return Math.max(this.failures(key), this.#held.of(key)) + this.#underWay.of(key);
  }

  begin(key: string): Attempt {
    const token = this.beginToken(key);
    this.#underWay.add(key, 1);
    return {
      ...token,
      checked: (outcome) => {
        this.#underWay.add(key, -1);
        if (outcome === 'wrong') this.#held.add(key, 1);
        token.checked(outcome);
      },
      answered: () => this.#held.add(key, -1),
    };
  }

  /** It holds no place. */
  beginToken(key: string): Attempt {
    const before = this.count(key);
    const delayMs = before === 0 ? 0 : Math.min(LONGEST_MS, FIRST_MS * 2 ** (before - 1));
    return {
      checked: (outcome) => {
        // Who knows one password may still guess those of other users, so the delay of those stays.
        if (outcome === 'right') this.#failures.delete(key);
        else if (outcome === 'wrong') this.#fail(key);
      },
      delayMs: () => (this.failures(key) === 0 ? 0 : delayMs),
      answered: () => undefined,
    };
  }

  #fail(key: string): void {
    const count = this.failures(key) + 1;
    this.#failures.delete(key);
    this.#failures.set(key, { count, lastAt: this.#clock() });
    dropOldest(this.#failures, ENTRIES);
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
