/**
 * The guard of all logins of a process: one throttle, and one queue of checks. A check of a password costs milliseconds of a
 * thread, so few run at a time. The others wait, and clients take turns: of each the oldest one that the throttle lets begin.
 * So nobody's guesses delay the logins of others by more than a turn, and a wrong answer that is held back delays no check.
 *
 * Equal guesses at the same time are one guess with one check: applications that open all their sessions at once cost few,
 * and so does a guess that is repeated. No result is kept. Who has gone waits no more. Nobody waits without a session, so what
 * waits is bounded by the sessions, and for each client once more.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Attempt, LoginThrottle, type Outcome } from './throttle.ts';

/** The disk needs threads too. */
const CHECKS_AT_ONCE = 2;
const MOST_WAITING = 500;
const WAIT_STEP_MS = 500;

export interface Guess {
  readonly client: string;
  readonly user: string;
  /** Aborts when the client has gone, or will send no more. Then it waits for nothing. */
  readonly ended: AbortSignal;
  /** Equal for guesses with the same check. */
  readonly key: string | symbol;
  readonly check: () => Promise<boolean>;
}

/** `deaf`: the client is refused without a check. `full`: too many of its guesses wait. */
export type Verdict =
  | { readonly kind: 'right' }
  | { readonly kind: 'gone' }
  | { readonly kind: 'deaf' }
  | { readonly kind: 'full' }
  /** The answer is held back until then. Undefined: it goes out at once. */
  | { readonly kind: 'wrong'; readonly held: Promise<void> | undefined };

interface Waiting {
  readonly guess: Guess;
  readonly settle: (verdict: Verdict | Promise<Verdict>) => void;
}

export class LoginGuard {
  readonly #throttle: LoginThrottle;
  readonly #sleep: (ms: number) => Promise<unknown>;
  /** By client. The first one has the next turn. */
  readonly #waiting = new Map<string, Set<Waiting>>();
  readonly #underWay = new Map<Guess['key'], SharedCheck>();

  constructor(clock: () => number, sleeps: (ms: number) => Promise<unknown> = sleep) {
    this.#throttle = new LoginThrottle(clock);
    this.#sleep = sleeps;
  }

  /** Rejects as the check does. */
  async guess(guess: Guess): Promise<Verdict> {
    const { client, key, ended } = guess;
    if (this.#throttle.isDeaf(client)) return { kind: 'deaf' };
    const known = this.#underWay.get(key);
    if (known) return known.join(guess);
    const waiting = this.#waiting.get(client) ?? new Set();
    if (waiting.size >= MOST_WAITING) return { kind: 'full' };
    const { promise, resolve: settle } = Promise.withResolvers<Verdict>();
    const one = { guess, settle };
    this.#waiting.set(client, waiting.add(one));
    this.#takeTurns();
    const leave = () => {
      if (this.#leave(one)) settle({ kind: 'gone' });
    };
    if (ended.aborted) leave();
    ended.addEventListener('abort', leave, { once: true });
    return promise.finally(() => ended.removeEventListener('abort', leave));
  }

  /** A token is no guess: it takes no turn. `held` is as that of a verdict. */
  async token<Judged extends { readonly kind: Outcome }>(
    client: string,
    judge: () => Promise<Judged>,
  ): Promise<{ readonly judged: Judged; readonly held: Promise<void> | undefined } | 'deaf'> {
    if (this.#throttle.isDeaf(client)) return 'deaf';
    const attempt = this.#throttle.beginToken(client);
    const judged = await judge();
    attempt.checked(judged.kind);
    return { judged, held: this.#hold(attempt) };
  }

  #takeTurns(): void {
    while (this.#underWay.size < CHECKS_AT_ONCE) {
      const next = this.#findNext();
      if (!next) return;
      void this.#run(next.guess);
    }
  }

  #findNext(): Waiting | undefined {
    for (const [client, waiting] of this.#waiting) {
      if (this.#throttle.isDeaf(client)) {
        this.#waiting.delete(client);
        for (const { settle } of waiting) settle({ kind: 'deaf' });
        continue;
      }
      for (const one of waiting) {
        if (!this.#throttle.mayGuess(client, one.guess.user)) continue;
        // The client goes behind all others.
        this.#waiting.delete(client);
        this.#waiting.set(client, waiting);
        return one;
      }
    }
    return undefined;
  }

  async #run({ key, check }: Guess): Promise<void> {
    const shared = new SharedCheck(check(), (one) => this.#begin(one));
    this.#underWay.set(key, shared);
    for (const waiting of [...this.#waiting.values()])
      for (const one of waiting)
        if (one.guess.key === key && this.#leave(one)) one.settle(shared.join(one.guess));
    await shared.end();
    this.#underWay.delete(key);
    this.#takeTurns();
  }

  /** False if it waits no more. */
  #leave(one: Waiting): boolean {
    const { client } = one.guess;
    const waiting = this.#waiting.get(client);
    if (!waiting?.delete(one)) return false;
    if (waiting.size === 0) this.#waiting.delete(client);
    return true;
  }

  #begin({ client, user }: Guess) {
    const attempt = this.#throttle.beginGuess(client, user);
    return (outcome: Outcome): Verdict => {
      attempt.checked(outcome);
      const held = outcome === 'wrong' ? this.#hold(attempt) : undefined;
      if (!held) attempt.answered();
      return outcome === 'right' ? { kind: 'right' } : { kind: 'wrong', held };
    };
  }

  #hold(attempt: Attempt): Promise<void> | undefined {
    return attempt.delayMs() > 0 ? this.#holdBack(attempt) : undefined;
  }

  /** In steps, because the delay ends when a login succeeds meanwhile. It goes on without the session. */
  async #holdBack({ delayMs, answered }: Attempt): Promise<void> {
    for (let waited = 0; waited < delayMs(); ) {
      const stepMs = Math.min(WAIT_STEP_MS, delayMs() - waited);
      await this.#sleep(stepMs);
      waited += stepMs;
    }
    answered();
    this.#takeTurns();
  }
}

/** One check, for all guesses with its key. It counts once for a client and user name. */
class SharedCheck {
  readonly #result: Promise<boolean>;
  readonly #begin: (guess: Guess) => (outcome: Outcome) => Verdict;
  readonly #verdicts = new Map<string, Promise<Verdict>>();

  constructor(result: Promise<boolean>, begin: (guess: Guess) => (outcome: Outcome) => Verdict) {
    this.#result = result;
    this.#begin = begin;
  }

  join(guess: Guess): Promise<Verdict> {
    const who = `${guess.client} ${guess.user}`;
    const verdict = this.#verdicts.get(who) ?? this.#judge(this.#begin(guess));
    this.#verdicts.set(who, verdict);
    return verdict;
  }

  /** Every guess is counted. */
  async end(): Promise<void> {
    await this.#result.catch(() => undefined);
    await Promise.allSettled(this.#verdicts.values());
  }

  async #judge(end: (outcome: Outcome) => Verdict): Promise<Verdict> {
    const isRight = await this.#result.catch((error) => {
      end('unavailable');
      throw error;
    });
    return end(isRight ? 'right' : 'wrong');
  }
}
