/**
 * The listener task of one policy: sessions for each listener, and a server for each lowest TLS version of its clients.
 * It runs in its own process (main.ts).
 */
import { constants, createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import type { SMTPServerOptions } from 'smtp-server';
import type { Listener, Policy } from '#crds/policyfile.ts';
import type { InboundSession } from '#crds/sessions.ts';
import type { TlsVersion } from '#crds/tlslevel.ts';
import { LoginGuard } from '../auth/guard.ts';
import type { Log } from '../observe/log.ts';
import type { Tracer } from '../observe/trace.ts';
import type { Clocks } from '../task/clock.ts';
import type { Counters } from '../task/counts.ts';
import type { Materials } from '../task/materials.ts';
import type { CountedBy, Pairs, PairText } from '../task/messages.ts';
import type { Listed } from '../task/sessionlist.ts';
import { makeCa, trustFrom } from '../task/trust.ts';
import { offersDsn } from './mailcommand.ts';
import { MapSources } from './mapsources.ts';
import { RefusalLog, type RefusedCommand } from './refusallog.ts';
import { REPLIES, type Reply } from './reply.ts';
import { GatedServer } from './server.ts';
import type { Taker } from './sessiondeps.ts';
import { ListenerSessions } from './sessions.ts';
import { readSniNames, type SniNames } from './sninames.ts';
import { TicketKeyRing } from './tickets.ts';

export interface ListenerOptions {
  readonly policy: Policy;
  readonly pairs: Pairs;
  readonly materials: Materials;
  /** All processes of a relay share the keys, so a ticket of one process works at another. Newest first. */
  readonly ticketKeys: readonly string[];
  readonly take: Taker;
  /** Absent if the policy suppresses no recipient. */
  readonly isSuppressed?: ((address: string) => boolean) | undefined;
  readonly refusalOfMore: (bytes: number) => Reply | undefined;
  readonly countMessage: (of: CountedBy, who: string) => Promise<number>;
  readonly counters: Counters;
  readonly log: Log;
  readonly tracer: Tracer;
  readonly clocks: Clocks;
  /** A client sent mail in plain text: it was accepted, or Required refused MAIL. */
  readonly onPlaintext: (client: string, helo: string, isRefused: boolean) => void;
  readonly onRefused: (refused: RefusedCommand) => void;
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
  #names: SniNames;
  #materials: Materials;
  readonly #mapSources: MapSources;
  #open = 0;

  constructor(options: ListenerOptions) {
    const { policy, pairs, materials, ticketKeys } = options;
    this.#options = options;
    this.#tickets = new TicketKeyRing(ticketKeys);
    this.#pairs = pairs;
    this.#names = readSniNames(policy, pairs);
    this.#materials = materials;
    this.#mapSources = new MapSources(policy, materials);
    const refusalLog = new RefusalLog(options.log, options.onRefused);
    const guard = new LoginGuard(options.clocks.monotonic);
    for (const listener of policy.inbound.listeners) {
      const deps = {
        ...options,
        listener,
        refusalLog,
        guard,
        hasPair: () => this.#pairs.host !== null,
        maps: () => this.#mapSources.maps,
      };
      this.#served.set(listener.name, {
        listener,
        sessions: new ListenerSessions(deps, materials),
        servers: new Map(),
      });
    }
  }

  /** The number of sessions, and of sockets in their first handshake. */
  get openSessions(): number {
    return this.#open;
  }

  list(): Listed<InboundSession>[] {
    return [...this.#served].flatMap(([name, { servers }]) =>
      [...servers.values()].flatMap((server) => server.list(name)),
    );
  }

  usePairs(pairs: Pairs): void {
    this.#pairs = pairs;
    this.#names = readSniNames(this.#options.policy, pairs);
    this.#renewContexts();
  }

  /** Sets the keys for the next handshakes. */
  useTicketKeys(keys: readonly string[]): void {
    this.#tickets.use(keys);
  }

  useMaterials(materials: Materials): void {
    this.#materials = materials;
    this.#mapSources.use(materials);
    for (const { sessions } of this.#served.values()) sessions.logins.use(materials);
    this.#renewContexts();
  }

  /**
   * Takes an accepted socket. Without a certificate, a session that needs TLS is refused and never continues in plain
   * text.
   */
  receive(name: string, client: string, socket: Socket, onEnd: () => void): void {
    const served = this.#served.get(name);
    // A peer may reset at any time. An 'error' without a handler would end the process.
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

  /** Ends every open session. */
  endAll(): void {
    for (const { servers } of this.#served.values())
      for (const server of servers.values()) server.endAll(REPLIES.closing);
  }

  /** Changes the next handshakes. Open sessions keep their context. */
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
    const floor = served.sessions.findTlsFloor(client);
    const known = served.servers.get(floor);
    if (known) return known;
    const server = this.#makeServer(served, floor);
    served.servers.set(floor, server);
    return server;
  }

  #makeServer({ listener, sessions }: Served, floor: TlsVersion): GatedServer {
    const { idleSeconds, messageSeconds } = this.#options.policy.inbound.limits;
    const patience = { idleMs: idleSeconds * 1000, messageMs: messageSeconds * 1000 };
    const server = new GatedServer(
      { ...this.#libraryOptions(listener, floor), ...sessions.handlers() },
      (client, session) => sessions.makeParts(client, session),
      (name) => this.#names.findSecret(name),
      patience,
    );
    this.#giveTickets(server);
    // Resets, failed handshakes and early closes are caused by the peer. They are counted and never fatal.
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
      // The library offers it under TLS only (RFC 8689 section 4.1).
      hideREQUIRETLS: false,
      size: limits.messageBytes,
      socketTimeout: limits.idleSeconds * 1000,
      ...(this.#pairs.host ? this.#contexts(listener, floor, this.#pairs.host) : {}),
      logger: false,
    };
  }

  /** One context for the pair of the host name, and one for each other pair, by Secret. */
  #contexts(listener: Listener, floor: TlsVersion, host: PairText): SMTPServerOptions {
    const others = Object.entries(this.#names.pairs);
    const common: SMTPServerOptions = {
      minVersion: floor,
      // SMTP needs no renegotiation, and each one would cost a handshake. OpenSSL would resume a session under another
      // name than it began with (RFC 6066 section 3 forbids that), so where names have own pairs it resumes none.
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION | (others.length > 0 ? constants.SSL_OP_NO_TICKET : 0),
      // The ciphers for such old devices are below OpenSSL's default security level.
      ...(floor < 'TLSv1.2' ? { ciphers: 'DEFAULT:@SECLEVEL=0' } : {}),
      ...this.#clientAuthorities(listener),
    };
    return {
      ...common,
      key: host.key,
      cert: host.cert,
      sniOptions: Object.fromEntries(others.map(([secret, pair]) => [secret, { ...common, ...pair }])),
    };
  }

  /**
   * The authorities for client certificates, and the name under which tickets are valid. Old and new tasks, and all
   * replicas, share tickets only under the same name. A session that was verified with other authorities is not
   * resumed. A missing bundle trusts nobody.
   */
  #clientAuthorities({ clients }: Listener): SMTPServerOptions {
    const { certificates } = clients;
    const trusted = certificates && makeCa(trustFrom(this.#materials, certificates.trustConfigMap));
    const context = `${this.#options.policy.hostname}\n${trusted?.ca ?? ''}`;
    return {
      sessionIdContext: createHash('sha256').update(context).digest('hex').slice(0, 32),
      ...(trusted ? { ...trusted, requestCert: true, rejectUnauthorized: false } : {}),
    };
  }
}
