/**
 * The listener task of one policy: a server per listener, the rules of each session, and what is told about it. Lives
 * in its own process (main.ts). Mail is answered 250 only by `receiveMessage`.
 */
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type {
  SMTPServerAddress,
  SMTPServerDataStream,
  SMTPServerOptions,
  SMTPServerSession,
} from 'smtp-server';
import type { Listener, Policy } from '#crds/policyfile.ts';
import { Counters } from '../counts.ts';
import type { Log } from '../log.ts';
import type { PairText } from '../messages.ts';
import type { Spool } from '../spool/spool.ts';
import { relayable } from './address.ts';
import { arrivalOf, type TlsFacts } from './arrival.ts';
import { NEVER_AVAILABLE, refusalOf, refusalOfLine, type SessionRules, starttlsOfSession } from './policy.ts';
import { MessageRate } from './rate.ts';
import { receiveMessage } from './receive.ts';
import { type Relaying, relayingOf } from './relaying.ts';
import { REPLIES, Refusal, type Reply } from './reply.ts';
import { type Gate, GatedServer } from './server.ts';

/** RFC 5321 section 4.5.3.2.7. */
const IDLE_MS = 5 * 60_000;
/** Refused commands and recipients after which a session is ended. */
const REFUSALS_PER_SESSION = 50;

export interface ListenerOptions {
  readonly policy: Policy;
  readonly pair: PairText | null;
  /** Shared by all processes of a relay, so that a ticket of one is good at another. */
  readonly ticketKeys: Buffer;
  readonly spool: Spool;
  readonly log: Log;
  readonly clock: () => number;
  /** A message is durable. */
  readonly onEntered: (id: string) => void;
  /** A client said MAIL in plain text: Required would have refused it. */
  readonly onPlaintext: (client: string) => void;
}

type Callback = (error?: Error | null, message?: string) => void;

/** What we know of a session beyond what the library does. */
interface SessionFacts {
  refusals: number;
  tls: TlsFacts | null;
}

export class ListenerTask {
  readonly #options: ListenerOptions;
  readonly #relaying: Relaying;
  readonly #rate = new MessageRate();
  readonly #servers = new Map<string, { listener: Listener; server: GatedServer }>();
  readonly #facts = new WeakMap<SMTPServerSession, SessionFacts>();
  readonly counters = new Counters();
  #pair: PairText | null;
  #open = 0;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#pair = options.pair;
    this.#relaying = relayingOf(options.policy);
    for (const listener of options.policy.inbound.listeners) {
      this.#servers.set(listener.name, { listener, server: this.#serverOf(listener) });
    }
  }

  /** Sessions, and sockets that are still in their first handshake. */
  get openSessions(): number {
    return this.#open;
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
    const { code, text } = this.#refused(REPLIES.listenerDown);
    socket.once('close', ended);
    socket.end(found?.listener.implicitTLS ? '' : `${code} ${text}\r\n`, () => socket.destroy());
  }

  /** Ends every session that is still open. */
  endAll(): void {
    for (const { server } of this.#servers.values()) server.endAll(REPLIES.closing);
  }

  #needsPair(listener: Listener, client: string): boolean {
    return listener.implicitTLS || this.#rulesOf(listener, client).starttls !== 'Disabled';
  }

  #serverOf(listener: Listener): GatedServer {
    const server = new GatedServer(this.#libraryOptions(listener), (client, session) =>
      this.#gateOf(listener, client, session),
    );
    // Resets, failed handshakes, early closes: the peer's affair, counted and never fatal.
    server.on('error', () => this.counters.add('session_errors', listener.name));
    return server;
  }

  #libraryOptions(listener: Listener): SMTPServerOptions {
    const { policy, ticketKeys } = this.#options;
    return {
      name: policy.hostname,
      banner: 'mailrelay',
      heloResponse: '%s',
      secure: listener.implicitTLS,
      disableReverseLookup: true,
      authOptional: true,
      disabledCommands: [...NEVER_AVAILABLE],
      size: policy.inbound.limits.messageBytes,
      socketTimeout: IDLE_MS,
      minVersion: policy.inbound.minTlsVersion,
      // Old and new tasks, and all replicas, share session tickets only under one context name.
      sessionIdContext: createHash('sha256').update(policy.hostname).digest('hex').slice(0, 32),
      ticketKeys,
      ...(this.#pair ? { key: this.#pair.key, cert: this.#pair.cert } : {}),
      logger: false,
      onConnect: (session, callback) => this.#onConnect(listener, session, callback),
      onSecure: (socket, session, callback) =>
        this.#onSecure(listener, socket as TLSSocket, session, callback),
      onMailFrom: (address, session, callback) => answer(callback, this.#refusalOfSender(address, session)),
      onRcptTo: (address, session, callback) => answer(callback, this.#refusalOfRecipient(address, session)),
      onData: (stream, session, callback) => {
        this.#onData(listener, stream, session).then((text) => callback(null, text), callback);
      },
      onClose: () => this.counters.add('sessions_closed', listener.name),
    };
  }

  #rulesOf(listener: Listener, client: string): SessionRules {
    const matches = this.#relaying.clientPolicyMatches(client);
    return {
      starttls: starttlsOfSession(listener, this.#options.policy.inbound.clientPolicies, matches),
      authRequired: listener.auth === 'Required',
      messageBytes: this.#options.policy.inbound.limits.messageBytes,
    };
  }

  #gateOf(listener: Listener, client: string, session: SMTPServerSession): Gate {
    const rules = this.#rulesOf(listener, client);
    return ({ verb, line, secure }) => {
      if (verb === 'MAIL' && !secure) this.#options.onPlaintext(client);
      const refusal = refusalOf(verb, rules, secure) ?? refusalOfLine(verb, line, rules);
      return refusal && this.#refusedIn(session, refusal);
    };
  }

  #factsOf(session: SMTPServerSession): SessionFacts {
    const known = this.#facts.get(session);
    if (known) return known;
    const facts: SessionFacts = { refusals: 0, tls: null };
    this.#facts.set(session, facts);
    return facts;
  }

  #refused(reply: Reply): Reply {
    this.counters.add('refused', reply.reason);
    return reply;
  }

  /** A client that goes on being refused is guessing. */
  #refusedIn(session: SMTPServerSession, reply: Reply): Reply {
    const facts = this.#factsOf(session);
    facts.refusals += 1;
    return this.#refused(facts.refusals > REFUSALS_PER_SESSION ? REPLIES.tooManyErrors : reply);
  }

  #onConnect(listener: Listener, session: SMTPServerSession, callback: Callback): void {
    this.counters.add('sessions', listener.name);
    const { starttls } = this.#rulesOf(listener, session.remoteAddress);
    if (!listener.implicitTLS && starttls === 'Disabled') {
      (session as { disabledCommands?: string[] }).disabledCommands = ['STARTTLS', ...NEVER_AVAILABLE];
    }
    callback();
  }

  #onSecure(listener: Listener, socket: TLSSocket, session: SMTPServerSession, callback: Callback): void {
    const tls = { version: socket.getProtocol() ?? 'TLS', cipher: socket.getCipher()?.name ?? 'unknown' };
    this.#factsOf(session).tls = tls;
    this.counters.add('tls_sessions', `${listener.name},${tls.version}`);
    callback();
  }

  #refusalOfSender({ address, args }: SMTPServerAddress, session: SMTPServerSession): Reply | undefined {
    const { policy, spool, clock } = this.#options;
    const { messagesPerClientPerMinute: limit } = policy.inbound.limits;
    if (address !== '' && !relayable(address)) return this.#refusedIn(session, REPLIES.badSender);
    if (limit !== null && this.#rate.count(session.remoteAddress, clock()) > limit)
      return this.#refused(REPLIES.tooManyMessages);
    const announced = Number(args ? args['SIZE'] : 0) || 0;
    return spool.hasRoom(announced) ? undefined : this.#refused(REPLIES.diskFull);
  }

  #refusalOfRecipient({ address }: SMTPServerAddress, session: SMTPServerSession): Reply | undefined {
    const { recipients } = this.#options.policy.inbound.limits;
    const refusal = this.#relaying.refusalOfRecipient(session.remoteAddress, address);
    if (refusal) return this.#refusedIn(session, refusal);
    return session.envelope.rcptTo.length < recipients ? undefined : this.#refused(REPLIES.tooManyRecipients);
  }

  async #onData(
    listener: Listener,
    stream: SMTPServerDataStream,
    session: SMTPServerSession,
  ): Promise<string> {
    const { spool, clock, policy, log, onEntered } = this.#options;
    const { tls } = this.#factsOf(session);
    const arrival = arrivalOf(session, tls, policy.hostname, clock());
    try {
      const { id, bytes } = await receiveMessage(spool, stream, arrival);
      const { from, recipients } = arrival.envelope;
      const to = recipients.map(({ address }) => address);
      const client = session.remoteAddress;
      log('accepted', { id, from, to, client, listener: listener.name, tls: tls?.version ?? 'none', bytes });
      this.counters.add('accepted', listener.name);
      onEntered(id);
      return `2.0.0 Ok: queued as ${id}`;
    } catch (error) {
      if (error instanceof Refusal) this.counters.add('refused', error.reason);
      throw error;
    }
  }
}

function answer(callback: Callback, refusal: Reply | undefined): void {
  callback(refusal ? new Refusal(refusal) : null);
}
