/** The open connections to next hops, from the first attempt to connect to the end. */
import { printEndpoint } from '#crds/networks.ts';
import type { OutboundSession } from '#crds/sessions.ts';
import { monotonic } from '../task/clock.ts';
import type { Listed } from '../task/sessionlist.ts';
import type { Connecting, Opened, Session } from './connect.ts';
import type { NextHop } from './courier.ts';

interface Entry {
  readonly hop: NextHop;
  readonly since: number;
  readonly connecting: Connecting;
  /** Undefined while it is made. */
  session?: Session;
  isSending: boolean;
  messages: number;
}

export class HopSessions {
  readonly #entries = new Set<Entry>();
  readonly #bySession = new WeakMap<Session, Entry>();

  /** Resolves with what became of the attempt to connect. */
  async add(hop: NextHop, connecting: Connecting): Promise<Opened> {
    const entry: Entry = { hop, since: monotonic(), connecting, isSending: false, messages: 0 };
    this.#entries.add(entry);
    const opened = await connecting.opened;
    if (opened.kind === 'failed') this.#entries.delete(entry);
    else {
      const { session } = opened;
      entry.session = session;
      this.#bySession.set(session, entry);
      void session.connection.closed.then(() => this.#entries.delete(entry));
    }
    return opened;
  }

  /** Begins a message; the returned function ends it. */
  send(session: Session): () => void {
    const entry = this.#bySession.get(session);
    if (!entry) return () => undefined;
    entry.isSending = true;
    entry.messages += 1;
    return () => {
      entry.isSending = false;
    };
  }

  /** Ends connections to these hops that are not made yet, or that send. The latter are not used again afterwards. */
  end(which: (hop: NextHop) => boolean, reason: string): void {
    for (const { hop, session, connecting, isSending } of this.#entries) {
      if (!which(hop)) continue;
      if (!session) connecting.abort(reason);
      if (!session || !isSending) continue;
      session.used = Number.POSITIVE_INFINITY;
      if (!session.connection.offered) session.connection.cut(reason, 'relay');
    }
  }

  list(): Listed<OutboundSession>[] {
    return [...this.#entries].map((entry) => ({ since: entry.since, describe: () => describe(entry) }));
  }
}

function describe({ hop, session, isSending, messages }: Entry): Omit<OutboundSession, 'since'> {
  const tls = session?.tls ?? null;
  const kept = isSending ? 'sending' : 'idle';
  return {
    hop: printEndpoint(hop.host, hop.port),
    tls: tls && { version: tls.version, cipher: tls.cipher },
    state: session ? kept : 'connecting',
    messages,
  };
}
