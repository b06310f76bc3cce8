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
  /** Only of a session that has begun to log in: it costs more than most of a session. */
  login: AbortController | undefined;
  hasEnded: boolean;
}

export class FactsOfSessions {
  readonly #facts = new WeakMap<SMTPServerSession, SessionFacts>();

  of(session: SMTPServerSession): SessionFacts {
    const known = this.#facts.get(session);
    if (known) return known;
    const none = { tls: null, certificateNames: [], trace: undefined, login: undefined };
    const facts: SessionFacts = { ...none, inClear: false, messages: 0, hasEnded: false };
    this.#facts.set(session, facts);
    return facts;
  }
}
