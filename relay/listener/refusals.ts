/**
 * All refusals in the sessions of one listener, by our rules or by the library. Each is counted once by its reason. A
 * session with too many permanent refusals is guessing, and is ended. The library passes on only code and text, so the
 * reason of our own refusal is kept until its reply is sent.
 */
import type { Log } from '../observe/log.ts';
import type { Counters } from '../task/counts.ts';
import { REPLIES, Refusal, type Reply } from './reply.ts';

interface Refused {
  /** The number of permanent refusals. */
  count: number;
  reason: string | undefined;
}

export class Refusals {
  readonly #counters: Counters;
  readonly #log: Log;
  readonly #mostErrors: number;
  readonly #sessions = new WeakMap<object, Refused>();

  constructor({ counters, log }: { counters: Counters; log: Log }, mostErrors: number) {
    this.#counters = counters;
    this.#log = log;
    this.#mostErrors = mostErrors;
  }

  /** Answers a command: with the reply that `findReply` returns, or with success. */
  async answer(
    session: object,
    findReply: () => Reply | undefined | Promise<Reply | undefined>,
    callback: (error: Refusal | null) => void,
  ): Promise<void> {
    let refusal: Refusal | null;
    try {
      const reply = await findReply();
      refusal = reply ? this.by(session, reply) : null;
    } catch (error) {
      refusal = this.from(session, error as Error);
    }
    callback(refusal);
  }

  /**
   * The refusal that this error means. An error of our own is never final for the client, and its text stays in our
   * log. The library would answer 550 with that text.
   */
  from(session: object, error: Error): Refusal {
    if (error instanceof Refusal) return this.by(session, error.reply);
    this.#log('command_failed', { message: error.message });
    return this.by(session, REPLIES.localError);
  }

  /** Makes the error for the library. */
  by(session: object, reply: Reply): Refusal {
    this.expect(session, reply.reason);
    return new Refusal(reply);
  }

  /** The next refusing reply has this reason. */
  expect(session: object, reason: string): void {
    this.#of(session).reason = reason;
  }

  /** Called when a refusal by this rule is about to be sent. A returned reply ends the session instead. */
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
