/**
 * The tokens of one login. A token is kept until shortly before its end, and all connections that need one share one
 * request. A refusal is kept for a while too, because many wrong requests lock an account or a client.
 */
import { monotonic } from '../task/clock.ts';
import { TokenError } from './tokenerror.ts';
import type { TokenGrant } from './tokengrant.ts';
import type { TokenAnswer } from './tokenrequest.ts';

/** A token is not used in its last minutes, because a session may begin with it. */
const MARGIN_MS = 5 * 60_000;
/** RFC 6749 section 5.1 only recommends that a service tells the lifetime. */
const DEFAULT_SECONDS = 600;
const REFUSED_FOR_MS = 30_000;

export interface Tokens {
  /** Rejects with a TokenError. */
  readonly get: () => Promise<string>;
  /** The hop refuses this token, so it is not given again. True if it was accepted before: then nobody has to act yet. */
  readonly refuse: (token: string) => boolean;
  /** It stands in the Secret. Absent: a token service gives tokens. */
  readonly given?: string;
}

/** A token that somebody else renews. */
export function fixedToken(token: string): Tokens {
  return { get: async () => token, refuse: () => false, given: token };
}

type RequestToken = (grant: TokenGrant) => Promise<TokenAnswer>;

/** Most relays need no tokens, so they do not load the libraries for them. */
const requestLazily: RequestToken = async (grant) => (await import('./tokenrequest.ts')).requestToken(grant);

interface Kept {
  readonly answer: TokenAnswer;
  readonly until: number;
  /** How often it was given. */
  uses: number;
}

export class TokenSource implements Tokens {
  #grant: TokenGrant;
  readonly #request: RequestToken;
  readonly #clock: () => number;
  #kept: Kept | undefined;
  #asking: Promise<TokenAnswer> | undefined;

  constructor(grant: TokenGrant, request = requestLazily, clock = monotonic) {
    this.#grant = grant;
    this.#request = request;
    this.#clock = clock;
  }

  readonly get = async (): Promise<string> => {
    const isUsable = this.#kept && this.#clock() < this.#kept.until;
    const answer = isUsable && this.#kept ? this.#kept.answer : await this.#ask();
    if (answer.kind === 'unavailable') throw new TokenError(answer.reason, null);
    if (answer.kind === 'refused')
      throw new TokenError(`the token service says ${answer.problem.code}`, answer.problem);
    if (this.#kept?.answer === answer) this.#kept.uses += 1;
    return answer.token;
  };

  readonly refuse = (token: string): boolean => {
    const kept = this.#kept;
    if (kept?.answer.kind !== 'token' || kept.answer.token !== token) return false;
    this.#kept = undefined;
    return kept.uses > 1;
  };

  #ask(): Promise<TokenAnswer> {
    this.#asking ??= this.#request(this.#grant)
      .then((answer) => this.#keep(answer))
      .finally(() => {
        this.#asking = undefined;
      });
    return this.#asking;
  }

  #keep(answer: TokenAnswer): TokenAnswer {
    if (answer.kind === 'unavailable') return answer;
    const lifetimeMs = answer.kind === 'token' ? (answer.lifetime ?? DEFAULT_SECONDS) * 1000 : REFUSED_FOR_MS;
    const margin = answer.kind === 'token' ? Math.min(MARGIN_MS, lifetimeMs / 4) : 0;
    this.#kept = { answer, until: this.#clock() + lifetimeMs - margin, uses: 0 };
    if (answer.kind === 'token' && answer.refreshToken && this.#grant.kind === 'refresh token')
      this.#grant = { ...this.#grant, refreshToken: answer.refreshToken };
    return answer;
  }
}
