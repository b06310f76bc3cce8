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

/** A part of the session itself: the collector of garbage looks at each entry of a WeakMap again and again. */
const FACTS = Symbol('facts');
type Session = SMTPServerSession & { [FACTS]?: SessionFacts };

export class FactsOfSessions {
  of(session: Session): SessionFacts {
    session[FACTS] ??= makeFacts();
    return session[FACTS];
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

function makeFacts(): SessionFacts {
  const none = { tls: null, certificateNames: [], trace: undefined, end: undefined };
  return { ...none, inClear: false, messages: 0, hasEnded: false };
}
