/**
 * The courier that speaks SMTP: keeps connections and reuses them, makes new ones by the plan of the TLS level
 * (connect.ts), and sends over them (transaction.ts). A message is never offered twice for one `deliver`: where it may
 * have been taken, the answer is a deferral and not another attempt.
 */
import type { Hop } from '#crds/policyfile.ts';
import { type Connecting, connect, type Opened, type Session } from './connect.ts';
import type { Courier, HopResult, NextHop, Parcel } from './courier.ts';
import { planTls } from './tlsplan.ts';
import { sendOver } from './transaction.ts';
import { TlsContexts } from './trust.ts';

/** Reuse pays most (a handshake costs more than a message); the limits keep next hops from hanging up on us. */
const MESSAGES_PER_CONNECTION = 100;
const IDLE_MS = 20_000;

interface Kept {
  readonly session: Session;
  readonly timer: NodeJS.Timeout;
}

export class SmtpCourier implements Courier {
  readonly #hostname: string;
  readonly #contexts: TlsContexts;
  readonly #idle = new Map<string, Kept[]>();
  readonly #connecting = new Set<Connecting>();
  #closed = false;

  /** `trust`: PEM of the bundle, or null for the public roots of the runtime. Throws where it is not PEM. */
  constructor(hostname: string, trust: string | null) {
    this.#hostname = hostname;
    this.#contexts = new TlsContexts(trust);
  }

  /** Takes a changed bundle for new connections; idle ones, verified by the old, are ended. Throws as above. */
  useTrust(trust: string | null): void {
    if (this.#contexts.use(trust)) this.#endIdle();
  }

  async deliver(hop: NextHop, parcel: Parcel): Promise<HopResult> {
    if (hop.needsCredentials) {
      return { kind: 'unreachable', reason: `4.7.0 ${hop.host} wants a login, which is not in force yet` };
    }
    for (let kept = this.#takeIdle(hop); kept; kept = this.#takeIdle(hop)) {
      const result = await this.#send(hop, kept, parcel);
      // A kept connection may have been ended by its server; then the next one is tried at once.
      if (result.kind === 'answered') return result;
    }
    const opened = await this.#open(hop);
    if (opened.kind === 'failed') return { kind: 'unreachable', reason: opened.reason };
    return this.#send(hop, opened.session, parcel);
  }

  close(): void {
    this.#closed = true;
    this.#endIdle();
    for (const connecting of this.#connecting) connecting.abort();
  }

  /** Opportunistic alone has a second attempt, in plain text, after a handshake that broke. */
  async #open(hop: NextHop): Promise<Opened> {
    const first = await this.#connect(hop, 'First');
    const mayFallBack = planTls(hop.tlsLevel, hop.implicitTLS, 'First').mayFallBack;
    if (first.kind === 'session' || !first.brokenHandshake || !mayFallBack) return first;
    return this.#connect(hop, 'AfterBrokenHandshake');
  }

  async #connect(hop: NextHop, attempt: 'First' | 'AfterBrokenHandshake'): Promise<Opened> {
    if (this.#closed) return { kind: 'failed', reason: 'the router is stopping', brokenHandshake: false };
    const plan = planTls(hop.tlsLevel, hop.implicitTLS, attempt);
    const connecting = connect(hop, plan, this.#hostname, this.#contexts);
    this.#connecting.add(connecting);
    const opened = await connecting.opened;
    this.#connecting.delete(connecting);
    return opened;
  }

  async #send(hop: NextHop, session: Session, parcel: Parcel): Promise<HopResult> {
    session.used += 1;
    const sent = await sendOver(session.connection, parcel);
    if (sent.kind === 'unsent') {
      session.connection.close();
      return { kind: 'unreachable', reason: `${hop.host}:${hop.port}: ${sent.reason}` };
    }
    if (sent.reusable && !session.broken) this.#keep(hop, session);
    else if (sent.inOrder && !session.broken) session.connection.quit();
    else session.connection.close();
    return { kind: 'answered', verdicts: sent.verdicts, tls: session.tls };
  }

  #keep(hop: NextHop, session: Session): void {
    if (this.#closed || session.used >= MESSAGES_PER_CONNECTION) {
      session.connection.quit();
      return;
    }
    const key = keyOf(hop);
    const timer = setTimeout(() => this.#endOne(key, session), IDLE_MS);
    this.#idle.set(key, [...(this.#idle.get(key) ?? []), { session, timer }]);
  }

  /** The one used last: the others grow idle and end. */
  #takeIdle(hop: NextHop): Session | undefined {
    const key = keyOf(hop);
    const kept = this.#idle.get(key) ?? [];
    for (let last = kept.pop(); last; last = kept.pop()) {
      clearTimeout(last.timer);
      if (!last.session.broken) return last.session;
    }
    this.#idle.delete(key);
    return undefined;
  }

  #endOne(key: string, session: Session): void {
    const left = (this.#idle.get(key) ?? []).filter((kept) => kept.session !== session);
    if (left.length > 0) this.#idle.set(key, left);
    else this.#idle.delete(key);
    if (!session.broken) session.connection.quit();
  }

  #endIdle(): void {
    for (const [key, kept] of this.#idle) {
      for (const { session, timer } of kept) {
        clearTimeout(timer);
        this.#endOne(key, session);
      }
    }
  }
}

/** Connections are only shared where every promise is the same. */
function keyOf({ host, port, implicitTLS, tlsLevel, mxOf = '' }: Hop & { mxOf?: string }): string {
  return `${host} ${port} ${implicitTLS} ${tlsLevel} ${mxOf}`;
}
