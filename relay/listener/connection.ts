/**
 * One session: a connection of smtp-server that asks our gate before each command, knows further ways to log in, keeps
 * replies together that answer one read, and ends when its client makes no progress. With server.ts the only file that
 * touches what smtp-server keeps to itself; pinned by server.test.ts against the version in package.json.
 */
import type { Socket } from 'node:net';
import type { SMTPServer, SMTPServerSession } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js';
import type { SMTPStream } from 'smtp-server/lib/smtp-stream.js';
import type { SessionTrace } from '../observe/trace.ts';
import { monotonic } from '../task/clock.ts';
import { printMailbox } from './address.ts';
import { feedData } from './dataparser.ts';
import type { Exchange } from './exchange.ts';
import { readMailCommand } from './mailcommand.ts';
import { REPLIES, type Reply } from './reply.ts';

export type ConnectionOptions = ConstructorParameters<typeof SMTPConnection>[2];

/** Decides on a command before the library sees it: a reply refuses it. */
type Gate = (command: { verb: string; line: Buffer; secure: boolean }) => Reply | undefined;

/** What a session is given when its client is known. */
export interface SessionParts {
  /** The client is one of those who may relay by their address. */
  readonly isTrusted: boolean;
  readonly gate: Gate;
  /** A login by a mechanism that the library does not know; undefined: there is no such mechanism. */
  readonly exchange: (mechanism: string) => Exchange | undefined;
  /** Hears of every refusal, whoever made it; a reply is the end of the session. */
  readonly refused: (code: number, reason: string | undefined) => Reply | undefined;
  readonly trace: SessionTrace | undefined;
}
export type SessionMaker = (client: string, session: SMTPServerSession) => SessionParts;

export interface Patience {
  /** Without a complete command, and while a handshake lasts. */
  readonly idleMs: number;
  /** From DATA to the final dot. */
  readonly messageMs: number;
}

export const HANDSHAKE_MS = 60_000;
const LONGEST_HELO = 255;
const STARTTLS = Buffer.from('STARTTLS');
/** Replies that may wait for those of commands that came in the same read (RFC 2920 section 3.2); all others leave at once. */
const GROUPED = new Set(['MAIL', 'RCPT', 'RSET']);

export class GatedConnection extends SMTPConnection {
  readonly #parts: SessionParts;
  readonly #onEnd: () => void;
  #lastReply: Reply | undefined;
  #progressAt = monotonic();
  #dataSince: number | undefined;
  /** The command is one of those whose replies may wait. */
  #isGrouped = false;
  /** Keeps replies until the read that they answer is worked through. */
  #corked: Socket | undefined;

  constructor(
    server: SMTPServer & { readonly partsOf: SessionMaker },
    socket: Socket,
    options: ConnectionOptions,
    onEnd: () => void,
  ) {
    super(server, socket, options);
    this.#parts = server.partsOf(this.remoteAddress, this.session);
    this.#onEnd = onEnd;
  }

  override _createParser(): SMTPStream {
    const parser = super._createParser();
    parser._feedDataStream = (chunk, done) => feedData(parser, chunk, done);
    const write = parser._write;
    parser._write = (chunk, encoding, done) =>
      write.call(parser, chunk, encoding, (error) => {
        this.#flush();
        done(error);
      });
    return parser;
  }

  /** Those who talk before they are greeted show themselves within 100 ms; whom we trust is not made to wait for that. */
  override init(): void {
    if (this.#parts.isTrusted) this._setListeners(() => this.connectionReady());
    else super.init();
  }

  override _onCommand(command: Buffer, callback?: () => void): void {
    this.#progressAt = monotonic();
    this.#dataSince = undefined;
    this.#isGrouped = !this._nextHandler && GROUPED.has(verbOf(command));
    this.#parts.trace?.received(command);
    // Before the greeting and during a handshake the library refuses or drops input by itself, and a line of a login
    // is no command.
    const isCommand = this._ready && !this._upgrading && !this._nextHandler;
    const refusal = isCommand ? this.#refusalOf(command) : undefined;
    if (!refusal) {
      super._onCommand(command, callback);
      return;
    }
    this.#refuse(refusal);
    if (refusal.code !== 421 && callback) this._whenWritable(() => setImmediate(callback));
  }

  /** What is kept never waits for the client to read it. */
  override _whenWritable(next: () => void): void {
    if (this._socket.writableNeedDrain) this.#flush();
    super._whenWritable(next);
  }

  /** Logins are offered and taken under TLS only, and TLS where the gate lets it through at this moment. */
  override _isSupported(command: string): boolean {
    if (command === 'AUTH' && !this.secure) return false;
    if (command === 'STARTTLS' && this.#parts.gate({ verb: command, line: STARTTLS, secure: this.secure }))
      return false;
    return super._isSupported(command);
  }

  override handler_EHLO(command: Buffer, callback: () => void): void {
    this.#greet(command, (line, done) => super.handler_EHLO(line, done), callback);
  }

  override handler_HELO(command: Buffer, callback: () => void): void {
    this.#greet(command, (line, done) => super.handler_HELO(line, done), callback);
  }

  /** Read as the gate has read it; the library's own way is stricter than the field, and silent about source routes. */
  override _parseAddressCommand(name: string, line: Buffer) {
    const read = readMailCommand(name === 'mail from' ? 'MAIL' : 'RCPT', line.toString());
    if (read.kind !== 'command') return false as const;
    const { mailbox, parameters } = read.command;
    const names = parameters.map(([key]) => key);
    const duplicate = names.find((key, index) => names.indexOf(key) < index);
    return {
      address: mailbox === null ? '' : printMailbox(mailbox),
      args: Object.fromEntries(parameters),
      ...(duplicate === undefined ? {} : { duplicate }),
    };
  }

  /** What a refused MAIL said of its message is not said of the next one. */
  override handler_MAIL(command: Buffer, callback: () => void): void {
    if (!this.session.envelope.mailFrom) this._resetSession();
    super.handler_MAIL(command, callback);
  }

  override handler_AUTH(command: Buffer, callback: () => void): void {
    const [, name = '', initial, ...rest] = command.toString().trim().split(/\s+/);
    const exchange =
      rest.length === 0 && !this.session.user ? this.#parts.exchange(name.toUpperCase()) : undefined;
    if (!exchange) super.handler_AUTH(command, callback);
    else if (initial === undefined) this.#ask('', exchange, callback);
    else this.#step(exchange, initial === '=' ? '' : initial, callback);
  }

  override handler_DATA(command: Buffer, callback: () => void): void {
    super.handler_DATA(command, callback);
    if (this._dataStream) this.#dataSince = monotonic();
  }

  /**
   * Ends the session with this reply: at once, or after the reply that it waits for. A message that is complete and on
   * its way to disk must hear its own 250, or its sender would send it again.
   */
  end(reply: Reply): void {
    this.#lastReply = reply;
    if (!this.#isDeciding) this.#refuse(reply);
  }

  /** The reply that ends a session whose client makes no progress, or undefined. Bytes alone are no progress. */
  impatience(now: number, { idleMs, messageMs }: Patience): Reply | undefined {
    if (this.#isDeciding) this.#progressAt = now;
    if (this.#dataSince !== undefined && this._dataStream)
      return now - this.#dataSince > messageMs ? REPLIES.messageTooSlow : undefined;
    const patience = this._upgrading ? Math.min(idleMs, HANDSHAKE_MS) : idleMs;
    return now - this.#progressAt > patience ? REPLIES.idle : undefined;
  }

  override send(code: number, data?: string | string[] | null, context?: string | false): void {
    this.#say(code, data, context);
  }

  override _onTimeout(): void {
    if (this._closing || this.#isDeciding) super._onTimeout();
    else this.#refuse(REPLIES.idle);
  }

  /** After STARTTLS the raw socket never says `close`: it is the session that ends. */
  override _onClose(): void {
    super._onClose();
    this.#onEnd();
  }

  /** We owe the client a reply. */
  get #isDeciding(): boolean {
    return Boolean(this._handlerPending || (this._dataStream && this._parser && !this._parser._dataMode));
  }

  /** Some clients call themselves by several words: the library hears the first, and the trace has all. */
  #greet(command: Buffer, handle: (line: Buffer, done: () => void) => void, callback: () => void): void {
    const [verb = '', first = '', ...more] = command.toString().trim().split(/\s+/);
    handle(Buffer.from(`${verb} ${first}`), () => {
      if (more.length > 0 && this.hostNameAppearsAs) {
        this.hostNameAppearsAs = [first, ...more].join(' ').slice(0, LONGEST_HELO).toLowerCase();
        this.session.hostNameAppearsAs = this.hostNameAppearsAs;
      }
      callback();
    });
  }

  #refuse({ code, text, reason }: Reply): void {
    this.#say(code, text, false, reason);
  }

  #say(code: number, data?: string | string[] | null, context?: string | false, reason?: string): void {
    const end = code >= 400 ? this.#parts.refused(code, reason) : undefined;
    if (end) {
      this.#refuse(end);
      return;
    }
    if (this.#isGrouped) this.#cork();
    super.send(code, data, context);
    if (!this.#isGrouped) this.#flush();
    if (!this._upgrading) this.#traceSent(code, data);
    // A 421 closes the session by itself.
    if (this.#lastReply && code !== 421) this.#refuse(this.#lastReply);
  }

  #cork(): void {
    if (this.#corked) return;
    this.#corked = this._socket;
    this.#corked.cork();
  }

  #flush(): void {
    this.#corked?.uncork();
    this.#corked = undefined;
  }

  #refusalOf(line: Buffer): Reply | undefined {
    return this.#parts.gate({ verb: verbOf(line), line, secure: this.secure });
  }

  #ask(challenge: string, exchange: Exchange, callback: () => void): void {
    this._nextHandler = (line, done) => this.#step(exchange, line.toString().trim(), done);
    this.send(334, challenge);
    callback();
  }

  #step(exchange: Exchange, response: string, callback: () => void): void {
    exchange(response).then((said) => {
      if (said.kind === 'challenge') return this.#ask(said.text, exchange, callback);
      if (said.kind === 'refused') this.#refuse(said.reply);
      else {
        this.session.user = said.login;
        this.send(235, '2.7.0 Authentication successful', false);
      }
      callback();
    });
  }

  #traceSent(code: number, data?: string | string[] | null): void {
    const { trace } = this.#parts;
    if (!trace) return;
    const lines = Array.isArray(data) ? data : [data ?? ''];
    for (const [index, line] of lines.entries())
      trace.sent(`${code}${index < lines.length - 1 ? '-' : ' '}${line}`);
  }
}

function verbOf(line: Buffer): string {
  const end = line.indexOf(0x20);
  return line.toString('latin1', 0, end === -1 ? line.length : end).toUpperCase();
}
