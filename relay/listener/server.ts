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

/** Decides on a command before the library sees it; `connection` answers and closes. */
export type Gate = (connection: GatedConnection, verb: string, line: Buffer) => Reply | undefined;

export class GatedConnection extends SMTPConnection {
  readonly #gate: Gate;

  constructor(server: GatedServer, socket: Socket, options: ConstructorParameters<typeof SMTPConnection>[2]) {
    super(server, socket, options);
    this.#gate = server.gate;
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

  constructor(options: SMTPServerOptions, gate: Gate) {
    super(options);
    this.gate = gate;
  }

  override connect(socket: Socket, options: ConstructorParameters<typeof SMTPConnection>[2]): void {
    const connection = new GatedConnection(this, socket, options);
    this.connections.add(connection);
    connection.on('error', (error: Error) => this.emit('error', error));
    connection.init();
  }

  /** Takes over a socket that the supervisor accepted. */
  receive(socket: Socket): void {
    this.server.emit('connection', socket);
  }

  /** Sessions, and sockets that are still in their first handshake. */
  get openSessions(): number {
    return this.connections.size + this._pendingSockets.size;
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
