/**
 * A server of smtp-server that gets accepted sockets and makes our connections of them (connection.ts). server.test.ts
 * pins it to the version in package.json. `close()` of the library does not drain: it answers 421 at once, so it is
 * never called.
 */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import type { InboundSession } from '#crds/sessions.ts';
import { monotonic } from '../task/clock.ts';
import type { Listed } from '../task/sessionlist.ts';
import { type ConnectionOptions, GatedConnection } from './connection.ts';
import { HANDSHAKE_MS } from './progress.ts';
import type { Reply } from './reply.ts';
import type { Arrived, Patience, SessionMaker } from './sessionparts.ts';

const LOOK_MS = 1_000;

export class GatedServer extends SMTPServer {
  readonly partsOf: SessionMaker;
  readonly #arrived = new Map<Socket, Arrived>();
  readonly #findContext: (name: string) => string | undefined;
  readonly #patience: Patience;
  readonly #looking: NodeJS.Timeout;

  /** `findContext` gives the key in `sniOptions` for a client that asks for a name. */
  constructor(
    options: SMTPServerOptions,
    partsOf: SessionMaker,
    findContext: (name: string) => string | undefined,
    patience: Patience,
  ) {
    super(options);
    this.partsOf = partsOf;
    this.#findContext = findContext;
    this.#patience = patience;
    this.#looking = setInterval(() => this.#look(), LOOK_MS);
    this.#looking.unref();
  }

  /** Without our own pair the library would use a default pair whose key is public, so this sets none. */
  override updateSecureContext(options?: SMTPServerOptions): void {
    Object.assign(this.options, options);
    if (this.options.key) super.updateSecureContext();
    else this.secureContext = new Map();
  }

  /**
   * The supervisor has read what a proxy says. The library would draw each id by itself, which costs as much as the draw for a
   * hundred ids.
   */
  override _handleProxy(...[, done]: Parameters<SMTPServer['_handleProxy']>): void {
    const id = randomUUID().replaceAll('-', '').slice(0, 16);
    setImmediate(done, null, { id });
  }

  /** The library knows no wildcards. It changes the keys of its contexts as it changes names. */
  override _resolveSNI(name: string, chosen: (error: Error | null, context?: SecureContext) => void): void {
    const context = this.secureContext.get(this._normalizeHostname(this.#findContext(name) ?? '*'));
    chosen(null, context ?? this.secureContext.get('*'));
  }

  /**
   * Takes a socket that the supervisor accepted from `client` (behind a proxy this is not the socket's peer). `onEnd`
   * is called once, for any end.
   */
  receive(socket: Socket, client: string, onEnd: () => void): void {
    const once = () => {
      if (this.#arrived.delete(socket)) onEnd();
    };
    // The session reports its end. Before a session exists (the first handshake fails), the socket reports it.
    this.#arrived.set(socket, { client, since: monotonic(), onEnd: once });
    socket.once('close', once);
    this.server.emit('connection', socket);
  }

  override connect(socket: Socket, options: ConnectionOptions): void {
    const raw = ((socket as { _parent?: Socket })._parent ?? socket) as Socket;
    const arrived = this.#arrived.get(raw);
    // It has ended. Behind a proxy nobody knows any more which client it was.
    if (!arrived) {
      socket.destroy();
      return;
    }
    const known = { ...options, remoteAddress: arrived.client };
    const connection = new GatedConnection(this, socket, known, arrived);
    this.connections.add(connection);
    connection.on('error', (error: Error) => this.emit('error', error));
    connection.init();
  }

  /** Also sockets in a handshake that is the first thing of the session. */
  list(listener: string): Listed<InboundSession>[] {
    const now = monotonic();
    const sessions = [...this.connections].map((connection) => ({
      since: (connection as GatedConnection).arrived.since,
      describe: () => (connection as GatedConnection).describe(now),
    }));
    const handshakes = [...this._pendingSockets.keys()].map((raw) => {
      const { since, client } = this.#arrived.get(raw) ?? { since: now, client: '' };
      return { since, describe: () => describeHandshake(listener, client, now - since) };
    });
    return [...sessions, ...handshakes];
  }

  /** Ends all open sessions, with a 421 if the protocol allows one. */
  endAll(reply: Reply): void {
    for (const connection of this.connections) (connection as GatedConnection).end(reply);
    for (const socket of this._pendingSockets.values()) socket.destroy();
  }

  #look(): void {
    const now = monotonic();
    for (const connection of this.connections) {
      const reply = (connection as GatedConnection).impatience(now, this.#patience);
      if (reply) (connection as GatedConnection).end(reply);
    }
    const patience = Math.min(this.#patience.idleMs, HANDSHAKE_MS);
    for (const [raw, top] of this._pendingSockets) {
      if (now - (this.#arrived.get(raw)?.since ?? now) > patience) top.destroy();
    }
  }
}

function describeHandshake(listener: string, client: string, ms: number): Omit<InboundSession, 'since'> {
  const state = 'handshake';
  const unknown = { id: null, helo: null, tls: null, login: null, certificate: null };
  return { listener, client, ...unknown, state, quietSeconds: Math.floor(ms / 1000), messages: 0 };
}
