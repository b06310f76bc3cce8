/**
 * The one file that touches what smtp-server keeps to itself: a server that is fed with accepted sockets, and a
 * connection that asks our gate before each command. Pinned by server.test.ts against the version in package.json.
 * The library's `close()` is no drain (it answers 421 at once), so it is never called.
 */
import type { Socket } from 'node:net';
import { SMTPServer, type SMTPServerOptions, type SMTPServerSession } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js';
import type { PairText } from '../messages.ts';
import type { Reply } from './reply.ts';

type ConnectionOptions = ConstructorParameters<typeof SMTPConnection>[2];

/** Decides on a command before the library sees it: a reply refuses it. */
export type Gate = (command: { verb: string; line: Buffer; secure: boolean }) => Reply | undefined;

/** Makes the gate of one session, when its client is known. */
export type GateMaker = (client: string, session: SMTPServerSession) => Gate;

class GatedConnection extends SMTPConnection {
  readonly #gate: Gate;
  readonly #onEnd: () => void;
  #lastReply: Reply | undefined;

  constructor(server: GatedServer, socket: Socket, options: ConnectionOptions, onEnd: () => void) {
    super(server, socket, options);
    this.#gate = server.gateOf(this.remoteAddress, this.session);
    this.#onEnd = onEnd;
  }

  override _onCommand(command: Buffer, callback?: () => void): void {
    // Before the greeting and during a handshake the library refuses or drops input by itself.
    const refusal = this._ready && !this._upgrading ? this.#refusalOf(command) : undefined;
    if (!refusal) {
      super._onCommand(command, callback);
      return;
    }
    this.send(refusal.code, refusal.text, false);
    if (refusal.code !== 421 && callback) this._whenWritable(() => setImmediate(callback));
  }

  /**
   * Ends the session with this reply: at once, or after the reply that it waits for. A message that is complete and on
   * its way to disk must hear its own 250, or its sender would send it again.
   */
  end(reply: Reply): void {
    this.#lastReply = reply;
    const isDeciding = this._handlerPending || (this._dataStream && this._parser && !this._parser._dataMode);
    if (!isDeciding) this.send(reply.code, reply.text, false);
  }

  override send(code: number, data?: string | string[] | null, context?: string | false): void {
    super.send(code, data, context);
    const last = this.#lastReply;
    // A 421 closes the session by itself.
    if (last && code !== 421) super.send(last.code, last.text, false);
  }

  /** After STARTTLS the raw socket never says `close`: it is the session that ends. */
  override _onClose(): void {
    super._onClose();
    this.#onEnd();
  }

  #refusalOf(line: Buffer): Reply | undefined {
    const end = line.indexOf(0x20);
    const verb = line.toString('latin1', 0, end === -1 ? line.length : end).toUpperCase();
    return this.#gate({ verb, line, secure: this.secure });
  }
}

export class GatedServer extends SMTPServer {
  readonly gateOf: GateMaker;
  readonly #ends = new WeakMap<Socket, () => void>();

  constructor(options: SMTPServerOptions, gateOf: GateMaker) {
    super(options);
    this.gateOf = gateOf;
    // Without our own pair the library would use one whose key is public: rather have none.
    if (!options.key) this.secureContext = new Map();
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

  override connect(socket: Socket, options: ConnectionOptions): void {
    const onEnd = this.#ends.get(socket) ?? (() => undefined);
    const connection = new GatedConnection(this, socket, options, onEnd);
    this.connections.add(connection);
    connection.on('error', (error: Error) => this.emit('error', error));
    connection.init();
  }

  /** Takes a checked pair for new handshakes. */
  usePair({ cert, key }: PairText): void {
    this.updateSecureContext({ cert, key });
  }

  /** Ends what is still open, with a 421 where the protocol allows one. */
  endAll(reply: Reply): void {
    for (const connection of this.connections) (connection as GatedConnection).end(reply);
    for (const socket of this._pendingSockets.values()) socket.destroy();
  }
}
