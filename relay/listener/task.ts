/**
 * The listener task of one policy: a server per listener, the rules of each session, and what is told to the
 * supervisor. Lives in its own process (main.ts). Mail is answered 250 only by `receiveMessage`.
 */
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { SMTPServerAddress, SMTPServerOptions, SMTPServerSession } from 'smtp-server';
import type { Listener, Policy } from '#crds/policyfile.ts';
import { Counters } from '../counts.ts';
import type { Log } from '../log.ts';
import type { PairText } from '../messages.ts';
import type { Spool } from '../spool/spool.ts';
import { rawPathIsPlain, relayableDomain } from './address.ts';
import { refusalOf, type SessionRules, starttlsOfSession } from './policy.ts';
import { MessageRate } from './rate.ts';
import { receiveMessage } from './receive.ts';
import { type Relaying, relayingOf } from './relaying.ts';
import { REPLIES, Refusal, type Reply } from './reply.ts';
import { type GatedConnection, GatedServer } from './server.ts';

/** RFC 5321 section 4.5.3.2.7. */
const IDLE_MS = 5 * 60_000;
const REFUSALS_PER_SESSION = 50;
/** Commands of smtp-server that this relay does not have. */
const NEVER_AVAILABLE = ['AUTH', 'XCLIENT', 'XFORWARD', 'WIZ', 'SHELL', 'KILL'];
const PLAINTEXT_CLIENTS = 10_000;

export interface Surroundings {
  readonly spool: Spool;
  readonly log: Log;
  readonly clock: () => number;
  /** A message is durable. */
  readonly onEntered: (id: string) => void;
  /** A client said MAIL in plain text: Required would have refused it. */
  readonly onPlaintext: (client: string) => void;
}

type Callback = (error?: Error | null, message?: string) => void;

export class ListenerTask {
  readonly #policy: Policy;
  readonly #around: Surroundings;
  readonly #relaying: Relaying;
  readonly #rate = new MessageRate();
  readonly #servers = new Map<string, { listener: Listener; server: GatedServer }>();
  readonly #refusals = new WeakMap<object, number>();
  readonly #plaintextClients = new Set<string>();
  readonly counters = new Counters();
  #plaintextHour = 0;
  #open = 0;
  #pair: PairText | null;

  constructor(policy: Policy, pair: PairText | null, around: Surroundings) {
    this.#policy = policy;
    this.#pair = pair;
    this.#around = around;
    this.#relaying = relayingOf(policy);
    for (const listener of policy.inbound.listeners) {
      this.#servers.set(listener.name, { listener, server: this.#serverOf(listener) });
    }
  }

  usePair(pair: PairText): void {
    this.#pair = pair;
    for (const { server } of this.#servers.values()) server.usePair(pair);
  }

  /** Takes over an accepted socket. Without a pair, a session that needs one is refused: never quietly plain text. */
  receive(name: string, client: string, socket: Socket, onEnd: () => void): void {
    const found = this.#servers.get(name);
    // A peer may reset at any time, and an unheard 'error' would end the process.
    socket.on('error', () => socket.destroy());
    this.#open += 1;
    const ended = () => {
      this.#open -= 1;
      onEnd();
    };
    if (found && (this.#pair || !this.#needsPair(found.listener, client))) {
      found.server.receive(socket, ended);
      return;
    }
    const { code, text, reason } = REPLIES.listenerDown;
    this.counters.add('refused', reason);
    socket.once('close', ended);
    socket.end(found?.listener.implicitTLS ? '' : `${code} ${text}\r\n`, () => socket.destroy());
  }

  /** Sessions, and sockets that are still in their first handshake. */
  get openSessions(): number {
    return this.#open;
  }

  #needsPair(listener: Listener, client: string): boolean {
    return listener.implicitTLS || this.#rulesOf(listener, client).starttls !== 'Disabled';
  }

  /** Ends every session that is still open. */
  endAll(): void {
    for (const { server } of this.#servers.values()) server.endAll(REPLIES.closing);
  }

  #serverOf(listener: Listener): GatedServer {
    const server = new GatedServer(this.#optionsOf(listener), (connection, verb, line) =>
      this.#gate(connection, verb, line, listener),
    );
    // Resets, failed handshakes, early closes: the peer's affair, counted and never fatal.
    server.on('error', () => this.counters.add('session_errors', listener.name));
    return server;
  }

  #optionsOf(listener: Listener): SMTPServerOptions {
    const { hostname, inbound } = this.#policy;
    return {
      name: hostname,
      banner: 'mailrelay',
      heloResponse: '%s',
      secure: listener.implicitTLS,
      disableReverseLookup: true,
      authOptional: true,
      disabledCommands: [...NEVER_AVAILABLE],
      size: inbound.limits.messageBytes,
      rejectOversized: true,
      socketTimeout: IDLE_MS,
      minVersion: inbound.minTlsVersion,
      // Old and new tasks, and all replicas, share session tickets only under one context name.
      sessionIdContext: createHash('sha256').update(hostname).digest('hex').slice(0, 32),
      ...(this.#pair ? { key: this.#pair.key, cert: this.#pair.cert } : {}),
      logger: false,
      onConnect: (session, callback) => this.#onConnect(listener, session, callback),
      onSecure: (socket, session, callback) => this.#onSecure(listener, socket, session, callback),
      onMailFrom: (address, session, callback) => this.#onMailFrom(address, session, callback),
      onRcptTo: (address, session, callback) => this.#onRcptTo(address, session, callback),
      onData: (stream, session, callback) => {
        this.#onData(listener, stream, session).then(
          (text) => callback(null, text),
          (error: Error) => callback(error),
        );
      },
      onClose: () => this.counters.add('sessions_closed', listener.name),
    } as SMTPServerOptions;
  }

  #rulesOf(listener: Listener, client: string): SessionRules {
    const matches = this.#relaying.clientPolicyMatches(client);
    return {
      starttls: starttlsOfSession(listener, this.#policy.inbound.clientPolicies, matches),
      authRequired: listener.auth === 'Required',
      canEncrypt: this.#pair !== null,
    };
  }

  #gate(connection: GatedConnection, verb: string, line: Buffer, listener: Listener): Reply | undefined {
    const { remoteAddress: client } = connection;
    if (verb === 'MAIL' && !connection.secure) this.#sawPlaintext(client);
    const refusal =
      refusalOf(verb, this.#rulesOf(listener, client), connection.secure) ?? refusalOfRawPath(verb, line);
    if (!refusal) return undefined;
    const refusals = (this.#refusals.get(connection) ?? 0) + 1;
    this.#refusals.set(connection, refusals);
    return this.#refused(refusals > REFUSALS_PER_SESSION ? REPLIES.tooManyErrors : refusal);
  }

  /** Told once an hour per client: the supervisor keeps the count of a day. */
  #sawPlaintext(client: string): void {
    const hour = Math.floor(this.#around.clock() / 3_600_000);
    if (this.#plaintextHour !== hour || this.#plaintextClients.size >= PLAINTEXT_CLIENTS)
      this.#plaintextClients.clear();
    this.#plaintextHour = hour;
    if (this.#plaintextClients.has(client)) return;
    this.#plaintextClients.add(client);
    this.#around.onPlaintext(client);
  }

  #refused<T extends Reply>(reply: T): T {
    this.counters.add('refused', reply.reason);
    return reply;
  }

  #onConnect(listener: Listener, session: SMTPServerSession, callback: Callback): void {
    const client = session.remoteAddress;
    this.counters.add('sessions', listener.name);
    const { starttls, canEncrypt } = this.#rulesOf(listener, client);
    if (!listener.implicitTLS && (starttls === 'Disabled' || !canEncrypt)) {
      (session as { disabledCommands?: string[] }).disabledCommands = ['STARTTLS', ...NEVER_AVAILABLE];
    }
    callback();
  }

  #onSecure(
    listener: Listener,
    socket: Socket | TLSSocket,
    session: SMTPServerSession,
    callback: Callback,
  ): void {
    const version = (socket as TLSSocket).getProtocol() ?? 'TLS';
    (session as { tlsVersion?: string }).tlsVersion = version;
    this.counters.add('tls_sessions', `${listener.name},${version}`);
    callback();
  }

  #onMailFrom(address: SMTPServerAddress, session: SMTPServerSession, callback: Callback): void {
    const client = session.remoteAddress;
    const { messagesPerClientPerMinute: limit } = this.#policy.inbound.limits;
    if (address.address !== '' && relayableDomain(address.address) === undefined) {
      callback(new Refusal(this.#refused(REPLIES.badSender)));
    } else if (limit !== null && this.#rate.count(client, this.#around.clock()) > limit) {
      callback(new Refusal(this.#refused(REPLIES.tooManyMessages)));
    } else if (!this.#around.spool.hasRoom()) {
      callback(new Refusal(this.#refused(REPLIES.diskFull)));
    } else {
      callback();
    }
  }

  #onRcptTo(address: SMTPServerAddress, session: SMTPServerSession, callback: Callback): void {
    const { recipients } = this.#policy.inbound.limits;
    const refusal =
      this.#relaying.refusalOfRecipient(session.remoteAddress, address.address) ??
      (session.envelope.rcptTo.length >= recipients ? REPLIES.tooManyRecipients : undefined);
    callback(refusal ? new Refusal(this.#refused(refusal)) : null);
  }

  async #onData(
    listener: Listener,
    stream: Parameters<NonNullable<SMTPServerOptions['onData']>>[0],
    session: SMTPServerSession,
  ): Promise<string> {
    const arrival = this.#arrivalOf(session);
    try {
      const { id, bytes } = await receiveMessage(this.#around.spool, stream, arrival);
      this.#accepted(listener, session, id, bytes);
      return `2.0.0 Ok: queued as ${id}`;
    } catch (error) {
      if (error instanceof Refusal) this.counters.add('refused', error.reason);
      throw error;
    }
  }

  #accepted(
    listener: Listener,
    { remoteAddress, envelope, ...session }: SMTPServerSession,
    id: string,
    bytes: number,
  ) {
    const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address;
    const to = envelope.rcptTo.map(({ address }) => address);
    const tls = session.secure ? (session as { tlsVersion?: string }).tlsVersion : 'none';
    this.#around.log('accepted', {
      id,
      from,
      to,
      client: remoteAddress,
      listener: listener.name,
      tls,
      bytes,
    });
    this.counters.add('accepted', listener.name);
    this.#around.onEntered(id);
  }

  #arrivalOf(session: SMTPServerSession) {
    const { envelope } = session;
    const receivedAt = this.#around.clock();
    const to = envelope.rcptTo.map(({ address }) => address);
    const cipher = (session.tlsOptions as { name?: string } | false | undefined) || undefined;
    const version = (session as { tlsVersion?: string }).tlsVersion;
    return {
      envelope: {
        from: envelope.mailFrom === false ? '' : envelope.mailFrom.address,
        recipients: to.map((address) => ({ address, state: 'queued' as const })),
        receivedAt,
        smtpUtf8: envelope.smtpUtf8 === true,
        eightBit: envelope.bodyType === '8bitmime',
      },
      trace: {
        helo: String(session.hostNameAppearsAs || ''),
        client: session.remoteAddress,
        hostname: this.#policy.hostname,
        esmtp: session.openingCommand === 'EHLO',
        tls: session.secure ? { version: version ?? 'TLS', cipher: cipher?.name ?? 'unknown' } : null,
        recipient: to.length === 1 ? to[0] : undefined,
        at: new Date(receivedAt),
      },
    };
  }
}

function refusalOfRawPath(verb: string, line: Buffer): Reply | undefined {
  if (verb !== 'MAIL' && verb !== 'RCPT') return undefined;
  if (rawPathIsPlain(line)) return undefined;
  return verb === 'MAIL' ? REPLIES.badSender : REPLIES.badRecipient;
}
