/**
 * The refusals of the sessions of one listener, whoever made them: each is counted once by its reason, and a session
 * that goes on being refused for good is guessing, and ends. The library passes on code and text only, so the reason of
 * a refusal of ours is remembered until its reply is sent.
 */
import type { Counters } from '../task/counts.ts';
import { REPLIES, Refusal, type Reply } from './reply.ts';

interface Refused {
  /** Commands refused for good. */
  count: number;
  reason: string | undefined;
}

export class Refusals {
  readonly #counters: Counters;
  readonly #mostErrors: number;
  readonly #sessions = new WeakMap<object, Refused>();

  constructor(counters: Counters, mostErrors: number) {
    this.#counters = counters;
    this.#mostErrors = mostErrors;
  }

  /** For the library. */
  by(session: object, reply: Reply): Refusal {
    this.expect(session, reply.reason);
    return new Refusal(reply);
  }

  /** The next reply that refuses is for this reason. */
  expect(session: object, reason: string): void {
    this.#of(session).reason = reason;
  }

  /** A refusal is about to be sent, for this rule; a reply ends the session instead. */
  sent(session: object, code: number, reason: string | undefined): { rule: string; end: Reply | undefined } {
    const refused = this.#of(session);
    const rule = reason ?? refused.reason ?? 'protocol';
    this.#counters.add('refused', rule);
    refused.reason = undefined;
    if (code < 500) return { rule, end: undefined };
    refused.count += 1;
    return { rule, end: refused.count > this.#mostErrors ? REPLIES.tooManyErrors : undefined };
  }

  #of(session: object): Refused {
    const known = this.#sessions.get(session) ?? { count: 0, reason: undefined };
    this.#sessions.set(session, known);
    return known;
  }
}
