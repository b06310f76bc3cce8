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
  hasEnded: boolean;
  /** Made when it is asked for: it would be a percent of all that a session costs. */
  end: AbortController | undefined;
}

export class FactsOfSessions {
  readonly #facts = new WeakMap<SMTPServerSession, SessionFacts>();

  of(session: SMTPServerSession): SessionFacts {
    const known = this.#facts.get(session);
    if (known) return known;
    const none = { tls: null, certificateNames: [], trace: undefined, end: undefined };
    const facts: SessionFacts = { ...none, inClear: false, messages: 0, hasEnded: false };
    this.#facts.set(session, facts);
    return facts;
  }

  end(session: SMTPServerSession): void {
    const facts = this.of(session);
    facts.hasEnded = true;
    facts.end?.abort();
  }

  /** Aborts when the session ends, at once if it has ended. */
  watchEnd(session: SMTPServerSession): AbortSignal {
    const facts = this.of(session);
    facts.end ??= new AbortController();
    if (facts.hasEnded) facts.end.abort();
    return facts.end.signal;
  }
}
