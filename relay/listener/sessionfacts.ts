/** Facts of sessions that the library does not know. They go with the session. */
import type { SMTPServerSession } from 'smtp-server';
import type { SessionTrace } from '../observe/trace.ts';
import type { SessionTls } from './arrival.ts';

interface SessionFacts {
  tls: SessionTls | null;
  certificateNames: readonly string[];
  trace: SessionTrace | undefined;
  /** The client offered mail without TLS. */
  inClear: boolean;
  /** That were accepted. */
  messages: number;
  readonly ended: AbortController;
}

export class FactsOfSessions {
  readonly #facts = new WeakMap<SMTPServerSession, SessionFacts>();

  of(session: SMTPServerSession): SessionFacts {
    const known = this.#facts.get(session);
    if (known) return known;
    const ended = new AbortController();
    const none = { tls: null, certificateNames: [], trace: undefined, inClear: false, messages: 0 };
    const facts: SessionFacts = { ...none, ended };
    this.#facts.set(session, facts);
    return facts;
  }
}
