/**
 * The listener task of one policy: for each listener a sessions, and a server for each TLS floor that its clients have.
 * Lives in its own process (main.ts).
 */
import { constants, createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import type { SMTPServerOptions } from 'smtp-server';
import type { Listener, Policy, TlsVersion } from '#crds/policyfile.ts';
import type { Log } from '../observe/log.ts';
import type { Tracer } from '../observe/trace.ts';
import type { Clocks } from '../task/clock.ts';
import type { Counters } from '../task/counts.ts';
import type { Materials } from '../task/materials.ts';
import type { Pairs, PairText } from '../task/messages.ts';
import { caOf, trustFrom } from '../task/trust.ts';
import { offersDsn } from './mailcommand.ts';
import { RefusalLog } from './refusallog.ts';
import { REPLIES, type Reply } from './reply.ts';
import { GatedServer } from './server.ts';
import type { Taker } from './sessiondeps.ts';
import { ListenerSessions } from './sessions.ts';
import { TicketKeyRing } from './tickets.ts';

export interface ListenerOptions {
  readonly policy: Policy;
  readonly pairs: Pairs;
  readonly materials: Materials;
  /** Shared by all processes of a relay, so that a ticket of one is good at another; the newest first. */
  readonly ticketKeys: readonly string[];
  readonly take: Taker;
  readonly refusalOfMore: (bytes: number) => Reply | undefined;
  readonly countMessage: (kind: 'client' | 'login', who: string) => Promise<number>;
  readonly counters: Counters;
  readonly log: Log;
  readonly tracer: Tracer;
  readonly clocks: Clocks;
  /** A client said MAIL in plain text: Required would have refused it. */
  readonly onPlaintext: (client: string, helo: string) => void;
}

interface Served {
  readonly listener: Listener;
  readonly sessions: ListenerSessions;
  readonly servers: Map<TlsVersion, GatedServer>;
}

export class ListenerTask {
  readonly #options: ListenerOptions;
  readonly #served = new Map<string, Served>();
  readonly #tickets: TicketKeyRing;
  #pairs: Pairs;
  #materials: Materials;
  #open = 0;

  constructor(options: ListenerOptions) {
    const { policy, pairs, materials, ticketKeys } = options;
    this.#options = options;
    this.#tickets = new TicketKeyRing(ticketKeys);
    this.#pairs = pairs;
    this.#materials = materials;
    const refusalLog = new RefusalLog(options.log);
    for (const listener of policy.inbound.listeners) {
      const deps = {
        ...options,
        listener,
        refusalLog,
        hasPair: () => this.#pairs.host !== null,
      };
      this.#served.set(listener.name, {
        listener,
        sessions: new ListenerSessions(deps, materials),
        servers: new Map(),
      });
    }
  }

  /** Sessions, and sockets that are still in their first handshake. */
  get openSessions(): number {
    return this.#open;
  }

  usePairs(pairs: Pairs): void {
    this.#pairs = pairs;
    this.#renewContexts();
  }

  /** For the next handshakes. */
  useTicketKeys(keys: readonly string[]): void {
    this.#tickets.use(keys);
  }

  useMaterials(materials: Materials): void {
    this.#materials = materials;
    for (const { sessions } of this.#served.values()) sessions.logins.use(materials);
    this.#renewContexts();
  }

  /** Takes over an accepted socket. Without a pair, a session that cannot do without is refused: never plain text. */
  receive(name: string, client: string, socket: Socket, onEnd: () => void): void {
    const served = this.#served.get(name);
    // A peer may reset at any time, and an unheard 'error' would end the process.
    socket.on('error', () => socket.destroy());
    this.#open += 1;
    const ended = () => {
      this.#open -= 1;
      onEnd();
    };
    if (served && (this.#pairs.host || !served.listener.implicitTLS)) {
      this.#serverFor(served, client).receive(socket, client, ended);
      return;
    }
    this.#options.counters.add('refused', REPLIES.noCertificate.reason);
    socket.once('close', ended);
    socket.destroy();
  }

  /** Ends every session that is still open. */
  endAll(): void {
    for (const { servers } of this.#served.values())
      for (const server of servers.values()) server.endAll(REPLIES.closing);
  }

  /** For the next handshakes; sessions that are open keep what they have. */
  #renewContexts(): void {
    const { host } = this.#pairs;
    if (host === null) return;
    for (const { listener, servers } of this.#served.values())
      for (const [floor, server] of servers) {
        server.updateSecureContext(this.#contexts(listener, floor, host));
        this.#giveTickets(server);
      }
  }

  #serverFor(served: Served, client: string): GatedServer {
    const floor = served.sessions.tlsFloorOf(client);
    const known = served.servers.get(floor);
    if (known) return known;
    const server = this.#serverOf(served, floor);
    served.servers.set(floor, server);
    return server;
  }

  #serverOf({ listener, sessions }: Served, floor: TlsVersion): GatedServer {
    const { idleSeconds, messageSeconds } = this.#options.policy.inbound.limits;
    const patience = { idleMs: idleSeconds * 1000, messageMs: messageSeconds * 1000 };
    const server = new GatedServer(
      { ...this.#libraryOptions(listener, floor), ...sessions.handlers() },
      (client, session) => sessions.partsOf(client, session),
      patience,
    );
    this.#giveTickets(server);
    // Resets, failed handshakes, early closes: the peer's affair, counted and never fatal.
    server.on('error', () => this.#options.counters.add('session_errors', listener.name));
    return server;
  }

  #giveTickets({ secureContext }: GatedServer): void {
    for (const context of secureContext.values()) this.#tickets.giveTo(context);
  }

  #libraryOptions(listener: Listener, floor: TlsVersion): SMTPServerOptions {
    const { policy } = this.#options;
    const { limits } = policy.inbound;
    return {
      name: policy.hostname,
      banner: 'mailrelay',
      heloResponse: '%s',
      secure: listener.implicitTLS,
      disableReverseLookup: true,
      authOptional: true,
      hideDSN: !offersDsn(policy),
      size: limits.messageBytes,
      socketTimeout: limits.idleSeconds * 1000,
      ...(this.#pairs.host ? this.#contexts(listener, floor, this.#pairs.host) : {}),
      logger: false,
    };
  }

  /** One context for all names, and one for each name inside the cluster while there is a pair for them. */
  #contexts(listener: Listener, floor: TlsVersion, host: PairText): SMTPServerOptions {
    const { policy } = this.#options;
    const common: SMTPServerOptions = {
      minVersion: floor,
      // Nobody needs it in SMTP, and each one costs us a handshake.
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      // What OpenSSL has for such devices lies below its own security level.
      ...(floor < 'TLSv1.2' ? { ciphers: 'DEFAULT:@SECLEVEL=0' } : {}),
      ...this.#clientAuthorities(listener),
    };
    const { internal } = this.#pairs;
    const names = internal ? (policy.inbound.internalTls?.names ?? []) : [];
    const inside = { ...common, key: internal?.key, cert: internal?.cert };
    return {
      ...common,
      key: host.key,
      cert: host.cert,
      sniOptions: Object.fromEntries(names.map((name) => [name, inside])),
    };
  }

  /**
   * Whom client certificates are verified by, and the name under which tickets are good. Old and new tasks, and all
   * replicas, share tickets only under one name; a session that was verified by other authorities is not resumed. A
   * bundle that is missing trusts nobody.
   */
  #clientAuthorities({ clients }: Listener): SMTPServerOptions {
    const { certificates } = clients;
    const ca = certificates ? caOf(trustFrom(this.#materials, certificates.trustConfigMap)).ca : undefined;
    const context = `${this.#options.policy.hostname}\n${ca ?? ''}`;
    return {
      sessionIdContext: createHash('sha256').update(context).digest('hex').slice(0, 32),
      ...(ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: false }),
    };
  }
}
