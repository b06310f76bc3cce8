/**
 * The courier that speaks SMTP: keeps connections and reuses them, makes new ones by the plan of the TLS level
 * (connect.ts), logged in where the hop wants it, and sends over them (transaction.ts). A message is never offered
 * twice for one `deliver`: where it may have been taken, the answer is a deferral and not another attempt.
 */

import { type Failure, joinFailures, makeFailure } from '#crds/failure.ts';
import { domainOf } from '#crds/patterns.ts';
import type { Policy } from '#crds/policyfile.ts';
import { requiresTls, type TlsLevel } from '#crds/tlslevel.ts';
import type { Tracer } from '../observe/trace.ts';
import type { Materials } from '../task/materials.ts';
import type { HopResult } from './attempt.ts';
import { type Connecting, connect, type Opened, type Session } from './connect.ts';
import type { NextHop, Parcel } from './courier.ts';
import { HopCredentials } from './hopcredentials.ts';
import { addressesOf } from './resolver.ts';
import { planTls } from './tlsplan.ts';
import { sendOver } from './transaction.ts';
import { TlsContexts } from './trust.ts';

/** Reuse pays most (a handshake costs more than a message); its limits keep next hops from hanging up on us. */
const IDLE_MS = 20_000;

type Unreachable = HopResult & { kind: 'unreachable' };

interface Kept {
  readonly session: Session;
  readonly timer: NodeJS.Timeout;
}

export class SmtpClient {
  readonly #hostname: string;
  readonly #messagesPerConnection: number;
  readonly #contexts: TlsContexts;
  readonly #logins: HopCredentials;
  readonly #tracer: Tracer;
  #sessions = 0;
  readonly #idle = new Map<string, Kept[]>();
  readonly #connecting = new Set<Connecting>();
  readonly #sending = new Set<Session>();
  #closed = false;

  constructor({ hostname, outbound }: Policy, materials: Materials, tracer: Tracer) {
    this.#tracer = tracer;
    this.#hostname = hostname;
    this.#messagesPerConnection = outbound.limits.messagesPerConnection;
    this.#contexts = new TlsContexts(materials);
    this.#logins = new HopCredentials(materials);
  }

  /** For new connections; idle ones, made with what was before, are ended. */
  useMaterials(materials: Materials): void {
    this.#contexts.use(materials);
    this.#logins.use(materials);
    this.#endIdle();
  }

  async deliver(hop: NextHop, parcel: Parcel): Promise<HopResult> {
    // A delivery that is traced goes over a session that is, and no other does.
    const traced = parcel.to.map(domainOf).find((domain) => this.#tracer.follows(domain));
    const key = keyOf(hop, traced !== undefined);
    for (let kept = this.#takeIdle(key); kept; kept = this.#takeIdle(key)) {
      const result = await this.#send(hop, kept, parcel);
      // A kept connection may have been ended by its server; then the next one is tried at once.
      if (result.kind === 'answered') return result;
    }
    return this.#deliverAnew(hop, parcel, traced ?? '');
  }

  close(): void {
    this.#closed = true;
    this.#endIdle();
    for (const connecting of this.#connecting) connecting.abort();
    for (const { connection } of this.#sending)
      if (!connection.offered) connection.cut('the router is stopping');
  }

  /** One address after the other until one answers; none more once our login is refused, which may lock the account. */
  async #deliverAnew(hop: NextHop, parcel: Parcel, domain: string): Promise<HopResult> {
    const found = await addressesOf(hop);
    if (found.kind === 'none') return { kind: 'unreachable', failure: found.failure, hadSession: false };
    const failures: Unreachable[] = [];
    for (const address of found.addresses) {
      const opened = await this.#open(hop, address, domain);
      const result =
        opened.kind === 'session'
          ? await this.#send(hop, opened.session, parcel)
          : ({ kind: 'unreachable', failure: opened.failure, hadSession: false } as const);
      if (result.kind === 'answered') return result;
      failures.push(result);
      if (result.failure.cause === 'login') break;
    }
    return {
      kind: 'unreachable',
      failure: joinFailures(failures.map(({ failure }) => failure)),
      hadSession: failures.some(({ hadSession }) => hadSession),
    };
  }

  /** Opportunistic alone has a second attempt, in plain text, after a handshake that broke. */
  async #open(hop: NextHop, address: string, domain: string): Promise<Opened> {
    const first = await this.#connect(hop, address, 'First', domain);
    const mayFallBack = planTls(levelOf(hop), hop.implicitTLS, 'First').mayFallBack;
    if (first.kind === 'session' || !first.brokenHandshake || !mayFallBack) return first;
    return this.#connect(hop, address, 'AfterBrokenHandshake', domain);
  }

  async #connect(
    hop: NextHop,
    address: string,
    attempt: 'First' | 'AfterBrokenHandshake',
    domain: string,
  ): Promise<Opened> {
    if (this.#closed) return unusable(hop, 'the relay is stopping');
    const plan = planTls(levelOf(hop), hop.implicitTLS, attempt);
    const made = this.#contexts.for(hop, plan.rejectUnauthorized);
    const login = hop.credentialsSecret === null ? null : this.#logins.for(hop.credentialsSecret);
    if (made.kind === 'unusable') return unusable(hop, made.reason);
    if (login?.kind === 'unusable') return unusable(hop, login.reason);
    const { context } = made;
    const id = `out-${process.pid}-${++this.#sessions}`;
    const trace = this.#tracer.session('outbound', { id, hop: `${hop.host}:${hop.port}`, domain });
    const connecting = connect(
      { ...hop, tlsLevel: levelOf(hop) },
      { address, plan, hostname: this.#hostname, context, login, trace },
    );
    this.#connecting.add(connecting);
    const opened = await connecting.opened;
    this.#connecting.delete(connecting);
    return opened;
  }

  async #send(hop: NextHop, session: Session, parcel: Parcel): Promise<HopResult> {
    session.used += 1;
    this.#sending.add(session);
    const sent = await sendOver(session.connection, hop, parcel).finally(() => this.#sending.delete(session));
    session.trace?.body(parcel.bytes);
    if (sent.kind === 'unsent') {
      session.connection.close();
      return { kind: 'unreachable', failure: sent.failure, hadSession: true };
    }
    if (sent.reusable && !session.broken) this.#keep(hop, session);
    else if (sent.inOrder && !session.broken) session.connection.quit();
    else session.connection.close();
    const { verdicts, tellsSender, mayTryAnother } = sent;
    return { kind: 'answered', verdicts, tls: session.tls, tellsSender, mayTryAnother };
  }

  #keep(hop: NextHop, session: Session): void {
    if (this.#closed || session.used >= this.#messagesPerConnection) {
      session.connection.quit();
      return;
    }
    const key = keyOf(hop, session.trace !== undefined);
    const timer = setTimeout(() => this.#endOne(key, session), IDLE_MS);
    this.#idle.set(key, [...(this.#idle.get(key) ?? []), { session, timer }]);
  }

  /** The one used last: the others grow idle and end. */
  #takeIdle(key: string): Session | undefined {
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
function keyOf({ priority: _, weight: __, ...hop }: NextHop, traced: boolean): string {
  return JSON.stringify({ ...hop, traced });
}

/** A login is never sent in clear, whatever the level says. */
function levelOf({ tlsLevel, credentialsSecret }: NextHop): TlsLevel {
  return credentialsSecret !== null && !requiresTls(tlsLevel) ? 'Encrypt' : tlsLevel;
}

/** A fault of ours: the hop was not asked. */
function unusable({ host, port }: NextHop, reason: string): Opened & { kind: 'failed' } {
  const failure: Failure = makeFailure({
    cause: 'local',
    status: '4.7.0',
    text: `${host}:${port}: ${reason}`,
  });
  return { kind: 'failed', failure, brokenHandshake: false };
}
