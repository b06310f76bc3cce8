/**
 * Failed logins. Each failure delays the next answer for its client and for its user name. A client with many failures
 * is refused without a check for a while. Memory is bounded: the entries with the oldest failure are dropped. This file
 * has no clock of its own.
 */
const WINDOW_MS = 10 * 60_000;
const FAILURES_UNTIL_DEAF = 20;
const ENTRIES = 10_000;
const FIRST_MS = 500;
const LONGEST_MS = 10_000;

interface Failures {
  count: number;
  lastAt: number;
}

export class LoginThrottle {
  readonly #clock: () => number;
  readonly #clients = new Map<string, Failures>();
  readonly #users = new Map<string, Failures>();

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** True while this client is refused without a check. */
  isDeaf(client: string): boolean {
    return this.#of(this.#clients, client) >= FAILURES_UNTIL_DEAF;
  }

  /** How long to wait before this login is answered. */
  delayMs(client: string, user: string): number {
    const failures = Math.max(this.#of(this.#clients, client), this.#of(this.#users, user));
    return failures === 0 ? 0 : Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1));
  }

  failed(client: string, user: string): void {
    this.#add(this.#clients, client);
    this.#add(this.#users, user);
  }

  /** The client knows one password. It may still guess the passwords of other users, so the delay of those stays. */
  succeeded(client: string, user: string): void {
    this.#clients.delete(client);
    this.#users.delete(user);
  }

  #of(failures: Map<string, Failures>, key: string): number {
    const known = failures.get(key);
    return known && this.#clock() - known.lastAt < WINDOW_MS ? known.count : 0;
  }

  #add(failures: Map<string, Failures>, key: string): void {
    // A token names no user.
    if (key === '') return;
    const count = this.#of(failures, key) + 1;
    failures.delete(key);
    failures.set(key, { count, lastAt: this.#clock() });
    const [longestQuiet] = failures.keys();
    if (failures.size > ENTRIES && longestQuiet !== undefined) failures.delete(longestQuiet);
  }
}
