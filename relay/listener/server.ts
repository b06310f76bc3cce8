/**
 * The one file that touches what smtp-server keeps to itself: a server that is fed with accepted sockets, and a
 * connection that asks our gate before each command. Pinned by server.test.ts against the version in package.json.
 * The library's `close()` is no drain (it answers 421 at once), so it is never called.
 */
import type { Socket } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js';
import type { PairText } from '../messages.ts';
import type { Reply } from './reply.ts';

type ConnectionOptions = ConstructorParameters<typeof SMTPConnection>[2];

/** Decides on a command before the library sees it; `connection` answers and closes. */
export type Gate = (connection: GatedConnection, verb: string, line: Buffer) => Reply | undefined;

export class GatedConnection extends SMTPConnection {
  readonly #gate: Gate;

  readonly #onEnd: () => void;

  constructor(server: GatedServer, socket: Socket, options: ConnectionOptions, onEnd: () => void) {
    super(server, socket, options);
    this.#gate = server.gate;
    this.#onEnd = onEnd;
  }

  /** After STARTTLS the raw socket never says `close`: it is the session that ends. */
  override _onClose(): void {
    super._onClose();
    this.#onEnd();
  }

  override _onCommand(command: Buffer, callback?: () => void): void {
    // Before the greeting and during a handshake the library drops or refuses input by itself.
    const ours = this._ready && !this._upgrading && !this._nextHandler;
    const verb = ours ? (command.toString('latin1').split(/\s/, 1)[0] ?? '').toUpperCase() : '';
    const refusal = ours ? this.#gate(this, verb, command) : undefined;
    if (!refusal) {
      super._onCommand(command, callback);
      return;
    }
    this.send(refusal.code, refusal.text, false);
    if (refusal.code !== 421 && callback) setImmediate(callback);
  }
}

export class GatedServer extends SMTPServer {
  readonly gate: Gate;

  readonly #ends = new WeakMap<Socket, () => void>();

  constructor(options: SMTPServerOptions, gate: Gate) {
    super(options);
    this.gate = gate;
    // Without our own pair the library would use one whose key is public: rather have none.
    if (!options.key) this.secureContext = new Map();
  }

  override connect(socket: Socket, options: ConnectionOptions): void {
    const connection = new GatedConnection(
      this,
      socket,
      options,
      this.#ends.get(socket) ?? (() => undefined),
    );
    this.connections.add(connection);
    connection.on('error', (error: Error) => this.emit('error', error));
    connection.init();
  }

  /** Takes over a socket that the supervisor accepted; `onEnd` is called once, however it ends. */
  receive(socket: Socket, onEnd: () => void): void {
    let ended = false;
    const once = () => {
      if (!ended) onEnd();
      ended = true;
    };
    // The session tells its end, and before there is one (a first handshake that fails) the socket does.
    this.#ends.set(socket, once);
    socket.once('close', once);
    this.server.emit('connection', socket);
  }

  /** Takes a checked pair for new handshakes. */
  usePair({ cert, key }: PairText): void {
    this.updateSecureContext({ cert, key });
  }

  /** Ends what is still open, with a 421 where the protocol allows one. */
  endAll(reply: Reply): void {
    for (const connection of this.connections) {
      connection.send(reply.code, reply.text, false);
      connection.close();
    }
    for (const socket of this._pendingSockets.values()) socket.destroy();
  }
}
