/**
 * The guard of all logins of a process: one throttle, and one queue of checks. A check of a password costs milliseconds of a
 * thread, so few run at a time. All others wait. Networks take turns: of each the oldest guess that the throttle lets begin.
 * So nobody's guesses delay the logins of other networks by more than a turn, and a wrong answer that is held back delays no
 * check.
 *
 * Equal guesses are one guess: those that wait get the result of the one that is checked, and what a client was refused is known
 * there for ten minutes. Other clients learn nothing of it. A proof (SCRAM) is good in its own session only, so it is equal to
 * none and not remembered. Each guess asks the throttle. The Secret counts at the moment of the verdict: where the user has changed
 * during a check, the check is done again. Nobody waits without a session, and what waits is bounded for each client and in
 * all. Who has gone waits no more.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Counts } from './opencounts.ts';
import { LoginThrottle, type Who } from './throttle.ts';

/** The disk needs threads too. */
const CHECKS_AT_ONCE = 2;
const MOST_OF_CLIENT = 500;
const MOST_WAITING = 5_000;

interface Claim {
  readonly client: string;
  /** With the name of the Secret that has the user, or of the issuer: no two of them share a user. */
  readonly user: { readonly source: string | null; readonly name: string };
  /** Aborts when the connection is closed or broken. */
  readonly ended: AbortSignal;
}

export interface Guess extends Claim {
  /** Takes turns with others. */
  readonly network: string;
  /** The password, or the proof of one with the challenge that it answers. */
  readonly shown: string;
  readonly isProof: boolean;
  /** What the Secret has of the user now, as far as the check asks for it. */
  readonly stored: () => string;
  /** Whether what is shown fits what the Secret has now. */
  readonly check: () => Promise<boolean>;
}

/** The answer waits for `held`, which ends with the session at the latest. `isDeaf`: it is that of `deaf`. */
interface Wrong {
  readonly kind: 'wrong';
  readonly held: Promise<void>;
  readonly isDeaf: boolean;
}

/** `deaf`: refused without a check. `full`: too many guesses wait. */
export type Verdict =
  | { readonly kind: 'right' }
  | { readonly kind: 'gone' }
  | { readonly kind: 'deaf' }
  | { readonly kind: 'full' }
  | Wrong;

interface Waiting {
  readonly guess: Guess;
  readonly who: Who;
  /** Equal for equal guesses, and nobody reads a password from it. */
  readonly key: string;
  readonly settle: (verdict: Verdict | Promise<never>) => void;
}

export class LoginGuard {
  readonly #throttle: LoginThrottle;
  readonly #sleep: (ms: number, ended: AbortSignal) => Promise<unknown>;
  readonly #secret = randomBytes(32);
  /** By network. The first one has the next turn. */
  readonly #waiting = new Map<string, Set<Waiting>>();
  readonly #ofClients = new Counts();
  #size = 0;
  readonly #underCheck = new Set<string>();

  constructor(
    clock: () => number,
    sleeps: (ms: number, ended: AbortSignal) => Promise<unknown> = (ms, signal) =>
      sleep(ms, null, { signal }),
  ) {
    this.#throttle = new LoginThrottle(clock);
    this.#sleep = sleeps;
  }

  /** Rejects as the check does. */
  async guess(guess: Guess): Promise<Verdict> {
    const { client, ended, shown } = guess;
    const who = this.#who(guess);
    const { promise, resolve: settle } = Promise.withResolvers<Verdict>();
    const one = { guess, who, key: this.#hash(who.user, shown), settle };
    if (ended.aborted) return { kind: 'gone' };
    if (this.#throttle.isDeaf(who)) return { kind: 'deaf' };
    if (this.#ofClients.of(client) >= MOST_OF_CLIENT) return { kind: 'full' };
    this.#enter(one);
    const leave = () => this.#settle(one, { kind: 'gone' });
    ended.addEventListener('abort', leave, { once: true });
    return promise.finally(() => ended.removeEventListener('abort', leave));
  }

  /** It takes no turn. The user is the one that the token claims. A token that the issuer has signed is no guess. */
  async token<Judged extends { readonly kind: string; readonly isSigned?: boolean }>(
    claim: Claim,
    token: string,
    judge: () => Promise<Judged>,
  ): Promise<{ readonly judged: Judged; readonly wrong: Wrong | undefined } | 'deaf'> {
    const who = this.#who(claim);
    if (this.#throttle.isDeaf(who)) return 'deaf';
    const judged = await judge();
    if (judged.kind === 'right') this.#throttle.right(who);
    if (judged.kind !== 'wrong' || judged.isSigned) return { judged, wrong: undefined };
    return { judged, wrong: this.#wrong(claim.ended, who, this.#hash(token)) };
  }

  #enter(one: Waiting): void {
    const { client, network } = one.guess;
    this.#waiting.set(network, (this.#waiting.get(network) ?? new Set()).add(one));
    this.#ofClients.add(client, 1);
    this.#size += 1;
    if (this.#size > MOST_WAITING) this.#refuseOne(network);
    this.#takeTurns();
  }

  /** The newest one of the network with the most, so that no network fills all places. Of equal ones: of who just came. */
  #refuseOne(network: string): void {
    let most: ReadonlySet<Waiting> = this.#waiting.get(network) ?? new Set();
    for (const waiting of this.#waiting.values()) if (waiting.size > most.size) most = waiting;
    const newest = [...most].at(-1);
    if (newest) this.#settle(newest, { kind: 'full' });
  }

  #takeTurns(): void {
    while (this.#underCheck.size < CHECKS_AT_ONCE) {
      const next = this.#findNext();
      if (!next) return;
      const { guess, who, key } = next;
      if (!this.#throttle.wasRefused(who, key, guess.stored())) void this.#run(next);
      else this.#settle(next, this.#wrong(guess.ended, who, key));
    }
  }

  #findNext(): Waiting | undefined {
    for (const [network, waiting] of this.#waiting)
      for (const one of waiting) {
        // It gets the result of the one under check. To ask the throttle costs more.
        if (this.#underCheck.has(one.key)) continue;
        if (this.#throttle.isDeaf(one.who)) this.#settle(one, { kind: 'deaf' });
        else if (this.#throttle.mayGuess(one.who)) {
          // The network goes behind all others.
          this.#waiting.delete(network);
          this.#waiting.set(network, waiting);
          return one;
        }
      }
    return undefined;
  }

  async #run(first: Waiting): Promise<void> {
    const { key } = first;
    this.#leave(first);
    this.#underCheck.add(key);
    const end = this.#throttle.begin(first.who);
    const judge = await this.#check(first);
    end();
    this.#underCheck.delete(key);
    first.settle(judge(first));
    for (const waiting of [...this.#waiting.values()])
      for (const one of waiting)
        if (one.key === key && this.#throttle.mayGuess(one.who)) this.#settle(one, judge(one));
    this.#takeTurns();
  }

  /** The result of the check, for each guess that is equal. */
  async #check({ guess, key }: Waiting): Promise<(one: Waiting) => Verdict | Promise<never>> {
    try {
      for (;;) {
        const stored = guess.stored();
        const isRight = await guess.check();
        if (guess.stored() !== stored) continue;
        if (isRight) return ({ who }) => this.#right(who);
        return ({ guess: { ended, isProof }, who }) => {
          if (!isProof) this.#throttle.refused(who, key, stored);
          return this.#wrong(ended, who, key, isProof);
        };
      }
    } catch (error) {
      return () => Promise.reject(error);
    }
  }

  #right(who: Who): Verdict {
    this.#throttle.right(who);
    return { kind: 'right' };
  }

  #wrong(ended: AbortSignal, who: Who, key: string, isProof = false): Wrong {
    const { delayMs, isDeaf } = this.#throttle.wrong(who, key, isProof);
    const held = delayMs === 0 || isDeaf ? Promise.resolve() : this.#sleep(delayMs, ended);
    return {
      kind: 'wrong',
      held: held.then(
        () => undefined,
        () => undefined,
      ),
      isDeaf,
    };
  }

  /** It may have its verdict already. */
  #settle(one: Waiting, verdict: Verdict | Promise<never>): void {
    if (this.#leave(one)) one.settle(verdict);
  }

  /** False if it waits no more. */
  #leave(one: Waiting): boolean {
    const { client, network } = one.guess;
    const waiting = this.#waiting.get(network);
    if (!waiting?.delete(one)) return false;
    if (waiting.size === 0) this.#waiting.delete(network);
    this.#ofClients.add(client, -1);
    this.#size -= 1;
    return true;
  }

  #who({ client, user: { source, name } }: Claim): Who {
    return { client, user: this.#hash(source, name) };
  }

  #hash(...parts: readonly (string | null)[]): string {
    return createHmac('sha256', this.#secret).update(JSON.stringify(parts)).digest('base64');
  }
}
