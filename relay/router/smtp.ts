/**
 * The courier that speaks SMTP, over nodemailer's SMTPConnection: one TLS context per kind of trust, connections kept
 * and reused, every level's promise kept by tlsplan.ts. A session that fails before the message was offered is
 * `unreachable`; one that breaks afterwards defers the recipients, because the next hop may have them.
 */
import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import SMTPConnection from 'nodemailer/lib/smtp-connection/index.js';
import type { Hop } from '#crds/policyfile.ts';
import { classifyReply, type Verdict } from './classify.ts';
import type { Courier, HopResult, Parcel, TlsFacts } from './courier.ts';
import { type Attempt, planTls, type TlsPlan } from './tlsplan.ts';

/** Reuse pays most (a handshake costs more than a message); the limits keep next hops from hanging up on us. */
const MESSAGES_PER_CONNECTION = 100;
const IDLE_MS = 15_000;
const CONNECT_MS = 30_000;
const GREETING_MS = 60_000;
/** RFC 5321 section 4.5.3.2.6: ten minutes for the reply to the final dot. */
const SILENCE_MS = 10 * 60_000;

interface Session {
  readonly connection: SMTPConnection;
  readonly tls: TlsFacts | null;
  /** Which trust bundle verified it. */
  readonly epoch: number;
  used: number;
  idleTimer: NodeJS.Timeout | undefined;
  broken: boolean;
}

type Opened =
  | { kind: 'session'; session: Session }
  | { kind: 'failed'; reason: string; brokenHandshake: boolean };

interface SendError extends Error {
  readonly responseCode?: number;
  readonly response?: string;
  readonly code?: string;
  readonly command?: string;
  readonly rejectedErrors?: readonly (SendError & { recipient?: string })[];
}

interface SendInfo {
  readonly response?: string;
  readonly rejectedErrors?: readonly (SendError & { recipient?: string })[];
}

export class SmtpCourier implements Courier {
  readonly #hostname: string;
  readonly #idle = new Map<string, Session[]>();
  #trust: string | null;
  #verifying: SecureContext;
  readonly #unverifying: SecureContext = createSecureContext({ minVersion: 'TLSv1.2' });
  #closed = false;
  #epoch = 0;

  /** `trust`: PEM of the bundle, or null for the public roots of the runtime. */
  constructor(hostname: string, trust: string | null) {
    this.#hostname = hostname;
    this.#trust = trust;
    this.#verifying = contextOf(trust);
  }

  /** Takes a changed bundle for new connections; idle ones, verified by the old, are ended. */
  useTrust(trust: string | null): void {
    if (trust === this.#trust) return;
    this.#trust = trust;
    this.#verifying = contextOf(trust);
    this.#epoch += 1;
    this.#endIdle();
  }

  async deliver(hop: Hop, parcel: Parcel): Promise<HopResult> {
    if (hop.needsCredentials) {
      return { kind: 'unreachable', reason: `4.7.0 ${hop.host} wants a login, which is not in force yet` };
    }
    const kept = this.#takeIdle(hop);
    if (kept) {
      const result = await this.#send(hop, kept, parcel);
      // A kept connection may have been ended by its server; only then is a fresh one tried at once.
      if (result) return result;
    }
    const opened = await this.#open(hop);
    if (opened.kind === 'failed') return { kind: 'unreachable', reason: opened.reason };
    return (
      (await this.#send(hop, opened.session, parcel)) ?? {
        kind: 'unreachable',
        reason: `4.4.2 ${hop.host} closed the connection before taking the message`,
      }
    );
  }

  close(): void {
    this.#closed = true;
    this.#endIdle();
  }

  async #open(hop: Hop): Promise<Opened> {
    const first = await this.#connect(hop, 'First');
    if (first.kind === 'session' || !first.brokenHandshake) return first;
    if (!planTls(hop.tlsLevel, hop.implicitTLS, 'First').mayFallBack) return first;
    return this.#connect(hop, 'AfterBrokenHandshake');
  }

  #connect(hop: Hop, attempt: Attempt): Promise<Opened> {
    const plan = planTls(hop.tlsLevel, hop.implicitTLS, attempt);
    const connection = new SMTPConnection({
      host: hop.host,
      port: hop.port,
      name: this.#hostname,
      secure: plan.secure,
      ignoreTLS: plan.ignoreTLS,
      requireTLS: plan.requireTLS,
      opportunisticTLS: plan.opportunisticTLS,
      // A policy that allows loopback and cluster addresses: the manifest names them on purpose.
      allowInternalNetworkInterfaces: true,
      connectionTimeout: CONNECT_MS,
      greetingTimeout: GREETING_MS,
      socketTimeout: SILENCE_MS,
      logger: false,
      tls: {
        secureContext: plan.rejectUnauthorized ? this.#verifying : this.#unverifying,
        rejectUnauthorized: plan.rejectUnauthorized,
        minVersion: 'TLSv1.2',
      },
    });
    return opened(connection, hop, plan, this.#epoch);
  }

  /** Undefined: the session ended before the message was offered, so trying again cannot double it. */
  async #send(hop: Hop, session: Session, parcel: Parcel): Promise<HopResult | undefined> {
    session.used += 1;
    const outcome = await sendOver(session.connection, parcel);
    if (outcome.kind === 'unsent') {
      session.connection.close();
      return undefined;
    }
    if (session.broken || !outcome.reusable) session.connection.close();
    else this.#keep(hop, session);
    return { kind: 'answered', verdicts: outcome.verdicts, tls: session.tls };
  }

  #keep(hop: Hop, session: Session): void {
    if (this.#closed || session.epoch !== this.#epoch || session.used >= MESSAGES_PER_CONNECTION) {
      session.connection.quit();
      return;
    }
    const key = keyOf(hop);
    const kept = this.#idle.get(key) ?? [];
    this.#idle.set(key, kept);
    kept.push(session);
    session.idleTimer = setTimeout(() => {
      kept.splice(kept.indexOf(session), 1);
      session.connection.quit();
    }, IDLE_MS);
  }

  #takeIdle(hop: Hop): Session | undefined {
    const kept = this.#idle.get(keyOf(hop));
    for (let session = kept?.pop(); session; session = kept?.pop()) {
      clearTimeout(session.idleTimer);
      if (!session.broken) return session;
    }
    return undefined;
  }

  #endIdle(): void {
    for (const sessions of this.#idle.values()) {
      for (const session of sessions.splice(0)) {
        clearTimeout(session.idleTimer);
        if (!session.broken) session.connection.quit();
      }
    }
  }
}

/** A bundle without a readable certificate trusts nobody: it must never mean "everybody the runtime trusts". */
function contextOf(trust: string | null): SecureContext {
  return createSecureContext({
    minVersion: 'TLSv1.2',
    ...(trust === null ? {} : { ca: certificatesIn(trust) }),
  });
}

function certificatesIn(bundle: string): string[] {
  const blocks = bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.filter((block) => {
    try {
      return new X509Certificate(block).raw.length > 0;
    } catch {
      return false;
    }
  });
}

/** Connections are only shared where every promise is the same. */
function keyOf({ host, port, implicitTLS, tlsLevel }: Hop): string {
  return `${host} ${port} ${implicitTLS} ${tlsLevel}`;
}

function opened(connection: SMTPConnection, hop: Hop, plan: TlsPlan, epoch: number): Promise<Opened> {
  return new Promise((resolve) => {
    let session: Session | undefined;
    const failed = (error: SendError) => {
      if (session) {
        session.broken = true;
        return;
      }
      connection.close();
      const brokenHandshake = error.code === 'ETLS' || error.command === 'STARTTLS';
      resolve({ kind: 'failed', reason: connectReason(error, hop, plan), brokenHandshake });
    };
    connection.on('error', failed);
    connection.on('end', () => failed(new Error('the connection was closed')));
    connection.connect((error) => {
      if (error) {
        failed(error as SendError);
        return;
      }
      const tls = tlsFactsOf(connection, plan);
      const fresh: Session = { connection, epoch, tls, used: 0, idleTimer: undefined, broken: false };
      session = fresh;
      resolve({ kind: 'session', session: fresh });
    });
  });
}

function connectReason(error: SendError, hop: Hop, plan: TlsPlan): string {
  const where = `${hop.host}:${hop.port}`;
  const level = `TLS level ${hop.tlsLevel}`;
  if (
    error.code === 'ETLS' ||
    (plan.rejectUnauthorized && /certificate|altnames|self.signed/i.test(error.message))
  ) {
    return `4.7.5 ${where}: ${level} is not met: ${firstLine(error.message)}`;
  }
  return `4.4.1 ${where}: ${firstLine(error.message)}`;
}

function firstLine(text: string): string {
  return (text.split(/[\r\n]/, 1)[0] ?? '').slice(0, 300);
}

function tlsFactsOf(connection: SMTPConnection, plan: TlsPlan): TlsFacts | null {
  if (!connection.secure) return null;
  const socket = connection._socket as TLSSocket;
  return {
    version: socket.getProtocol() ?? 'unknown',
    cipher: socket.getCipher()?.name ?? 'unknown',
    verified: plan.rejectUnauthorized,
  };
}

type Sent = { kind: 'unsent' } | { kind: 'answered'; verdicts: Verdict[]; reusable: boolean };

function sendOver(connection: SMTPConnection, parcel: Parcel): Promise<Sent> {
  return new Promise((resolve) => {
    const body = parcel.open();
    // The body flows only after the next hop said 354: before that, nothing can have been delivered.
    let offered = false;
    body.once('resume', () => {
      offered = true;
    });
    const envelope = {
      from: parcel.from,
      to: [...parcel.to],
      size: parcel.bytes,
      use8BitMime: parcel.eightBit,
    };
    connection.send(envelope, body, (error, info) => {
      if (error) resolve(failedSend(error as SendError, parcel, offered));
      else resolve({ kind: 'answered', verdicts: verdictsOf(info as SendInfo, parcel), reusable: true });
    });
  });
}

function verdictsOf(info: SendInfo, parcel: Parcel): Verdict[] {
  const rejected = rejectionsOf(info.rejectedErrors);
  return parcel.to.map((address) => rejected.get(address) ?? classifyReply(250, info.response ?? ''));
}

function failedSend(error: SendError, parcel: Parcel, offered: boolean): Sent {
  const answered = error.responseCode !== undefined;
  if (!answered && error.code === 'EMESSAGE' && !offered) {
    const refused: Verdict = { kind: 'refused', reason: `5.3.4 ${firstLine(error.message)}` };
    return { kind: 'answered', verdicts: parcel.to.map(() => refused), reusable: true };
  }
  if (!answered && !offered) return { kind: 'unsent' };
  const rejected = rejectionsOf(error.rejectedErrors);
  const whole = classifyReply(error.responseCode, error.response ?? firstLine(error.message));
  const verdicts = parcel.to.map((address) => rejected.get(address) ?? whole);
  // Only a session whose last reply was read in full is in a known state.
  return { kind: 'answered', verdicts, reusable: answered && error.responseCode !== 421 };
}

function rejectionsOf(errors: SendInfo['rejectedErrors']): Map<string, Verdict> {
  return new Map(
    (errors ?? []).map((error) => [
      error.recipient ?? '',
      classifyReply(error.responseCode, error.response ?? firstLine(error.message)),
    ]),
  );
}
