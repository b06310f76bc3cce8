/**
 * One session: a connection of smtp-server with our extensions. It asks our gate before each command, has more login
 * mechanisms, joins the replies to one read, and ends a session without progress. Only this file and server.ts use
 * private parts of smtp-server. server.test.ts pins them to the version in package.json.
 */
import type { Socket } from 'node:net';
import type { SMTPServer } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js';
import type { SMTPStream } from 'smtp-server/lib/smtp-stream.js';
import { visibleName } from '#crds/visible.ts';
import { printMailbox } from '../addresses/address.ts';
import { monotonic } from '../task/clock.ts';
import { feedData } from './dataparser.ts';
import type { Exchange } from './exchange.ts';
import { LoneDots } from './lonedot.ts';
import { readMailCommand, readVerb } from './mailcommand.ts';
import { type Moment, Progress } from './progress.ts';
import { REPLIES, type Reply } from './reply.ts';
import { closeInTime, ReplyWriter, replyLines } from './replywriter.ts';
import type { Arrived, Patience, SessionMaker, SessionParts } from './sessionparts.ts';

export type ConnectionOptions = ConstructorParameters<typeof SMTPConnection>[2];

const TLS_HANDSHAKE = 0x16;
const STARTTLS = Buffer.from('STARTTLS');
const TLS_FAULT = /^(ERR_SSL_|EPROTO$)/;

export class GatedConnection extends SMTPConnection {
  readonly arrived: Arrived;
  readonly #parts: SessionParts;
  #lastReply: Reply | undefined;
  /** The command that is being handled. */
  #line: Buffer | undefined;
  readonly #progress = new Progress(monotonic());
  readonly #loneDots: LoneDots;
  /** The message was given up and answered. No other reply follows for it. */
  #isGivenUp = false;
  readonly #replies = new ReplyWriter();

  constructor(
    server: SMTPServer & { readonly partsOf: SessionMaker },
    socket: Socket,
    options: ConnectionOptions,
    arrived: Arrived,
  ) {
    super(server, socket, options);
    this.arrived = arrived;
    this.#parts = server.partsOf(this.remoteAddress, this.session);
    this.#loneDots = new LoneDots(this.#parts.lineEndings, () => this.#giveUp());
  }

  override _createParser(): SMTPStream {
    const parser = super._createParser();
    parser._feedDataStream = (chunk, done) => {
      this.#loneDots.forget();
      feedData(parser, chunk, done, (kind, isLast) => this.#loneDots.seen(kind, isLast));
    };
    parser.on('finish', () => this.#onFin(parser));
    const write = parser._write;
    parser._write = (chunk, encoding, done) => {
      this.#endIfTls(parser, chunk);
      this.#replies.read(chunk);
      write.call(parser, chunk, encoding, (error) => {
        this.#replies.flush();
        done(error);
      });
    };
    return parser;
  }

  /** A client that talks before the greeting does so within 100 ms. Trusted clients do not wait for this. */
  override init(): void {
    if (this.#parts.isTrusted) this._setListeners(() => this.connectionReady());
    else super.init();
  }

  override _onCommand(command: Buffer, callback?: () => void): void {
    this.#line = this._nextHandler ? undefined : command;
    const verb = this._nextHandler ? '' : readVerb(command);
    this.#progress.command(verb, monotonic());
    this.#replies.begin(verb);
    this.#parts.trace?.received(command);
    // Before the greeting and during a handshake the library refuses or drops input by itself. A line of a login is no
    // command.
    const isCommand = this._ready && !this._upgrading && !this._nextHandler;
    const refusal = isCommand ? this.#parts.gate({ verb, line: command, secure: this.secure }) : undefined;
    if (!refusal) {
      super._onCommand(command, callback);
      return;
    }
    this.#refuse(refusal);
    if (refusal.code !== 421 && callback) this._whenWritable(() => setImmediate(callback));
  }

  /** Kept bytes never wait for the client to read. */
  override _whenWritable(next: () => void): void {
    if (this._socket.writableNeedDrain) this.#replies.flush();
    super._whenWritable(next);
  }

  /** Logins are offered and accepted only under TLS, and STARTTLS only if the gate allows it now. */
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

  /** As the gate has parsed it: the library's parser refuses forms that real clients send, and ignores source routes. */
  override _parseAddressCommand(name: string, line: Buffer) {
    const read = readMailCommand(name === 'mail from' ? 'MAIL' : 'RCPT', line);
    if (read.kind !== 'command') return false as const;
    const { mailbox, parameters } = read.command;
    const args = Object.fromEntries(parameters);
    const address = mailbox === null ? '' : printMailbox(mailbox);
    if (Object.keys(args).length === parameters.length) return { address, args };
    const names = parameters.map(([key]) => key);
    return { address, args, duplicate: names.find((key, index) => names.indexOf(key) < index) };
  }

  /** Values of a refused MAIL must not apply to the next message. */
  override handler_MAIL(command: Buffer, callback: () => void): void {
    super.handler_MAIL(command, () => {
      if (!this.session.envelope.mailFrom) this._resetSession();
      callback();
    });
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
    if (this._dataStream) this.#progress.dataBegins(monotonic());
  }

  /**
   * Ends the session with this reply: at once, or after the reply that the client waits for. A complete message on its
   * way to disk must get its own 250, because otherwise the sender would send it again.
   */
  end(reply: Reply): void {
    this.#lastReply = reply;
    if (!this.#isDeciding) this.#refuse(reply);
  }

  impatience(now: number, patience: Patience): Reply | undefined {
    return this.#progress.impatience(now, this.#moment, patience);
  }

  describe(now: number) {
    return { ...this.#parts.describe(), ...this.#progress.describe(now, this.#moment) };
  }

  override send(code: number, data?: string | string[] | null, context?: string | false): void {
    this.#say(code, data, context);
  }

  override _onTimeout(): void {
    if (this._closing || this.#isDeciding) super._onTimeout();
    else this.#refuse(REPLIES.idle);
  }

  /**
   * A client that has closed its sending side still gets its replies (scripts with netcat). TLS signals its end by
   * itself.
   */
  override _setListeners(callback: () => void): void {
    this._socket.allowHalfOpen = true;
    if (this.secure) this.#watchTls(this._socket);
    super._setListeners(callback);
  }

  override upgrade(callback: () => void, secureCallback?: () => void): void {
    this._socket.allowHalfOpen = false;
    super.upgrade(callback, () => {
      this._socket.allowHalfOpen = true;
      this.#watchTls(this._socket);
      secureCallback?.();
    });
  }

  /** The library would wait for five seconds, and drop the replies that a slow client has not read by then. */
  override close(): void {
    const isFirst = !this._closing;
    super.close();
    if (isFirst) this._closeTimer = closeInTime(this._socket, this._closeTimer);
  }

  /** After STARTTLS the raw socket never emits `close`, so the end of the session counts. */
  override _onClose(): void {
    this.#loneDots.forget();
    super._onClose();
    this.#parts.ended();
    this.arrived.onEnd();
  }

  /** True while the client waits for our reply. */
  get #isDeciding(): boolean {
    return Boolean(this._handlerPending || (this._dataStream && this._parser && !this._parser._dataMode));
  }

  get #moment(): Moment {
    return { isHandshake: this._upgrading, hasMessage: !!this._dataStream, isDeciding: this.#isDeciding };
  }

  /** A TLS handshake in place of a command has no line end, so the library would wait for ever. */
  #endIfTls(parser: SMTPStream, chunk: Buffer): void {
    const isLineStart = !parser._dataMode && parser._remainder === '';
    if (isLineStart && chunk[0] === TLS_HANDSHAKE && !this._upgrading && !this._closing)
      this.#refuse(REPLIES.notSmtp);
  }

  /** Node tells of a record that cannot be read, or of a reset, and leaves the socket open. No reply would get through. */
  #watchTls(socket: Socket): void {
    socket.once('_tlsError', (error: NodeJS.ErrnoException) => {
      if (TLS_FAULT.test(error.code ?? '')) this.#parts.refused({ ...REPLIES.brokenTls, line: undefined });
      socket.destroy(error);
    });
  }

  /** The client has closed its sending side, and all its input is handled. */
  #onFin(parser: SMTPStream): void {
    if (this._closing || parser !== this._parser) return;
    if (parser._dataMode && this.#loneDots.isWaiting) this.#giveUp();
    else this.close();
  }

  /** The message under way will never be complete, so it is refused and the session ends. */
  #giveUp(): void {
    this.#refuse(REPLIES.bareEnd);
    this.#isGivenUp = true;
    this.close();
  }

  /** Received and status get all words, the library the first. What it refuses changes nothing (RFC 5321 section 4.1.4). */
  #greet(command: Buffer, handle: (line: Buffer, done: () => void) => void, callback: () => void): void {
    const [verb = '', first = '', ...more] = command.toString().trim().split(/\s+/);
    this.hostNameAppearsAs = false;
    handle(Buffer.from(`${verb} ${first}`), () => {
      if (!this.hostNameAppearsAs) this.openingCommand = this.session.openingCommand;
      else this.session.hostNameAppearsAs = visibleName([first, ...more].join(' ').toLowerCase());
      this.hostNameAppearsAs = this.session.hostNameAppearsAs;
      callback();
    });
  }

  #refuse({ code, text, reason }: Reply): void {
    this.#say(code, text, false, reason);
  }

  #say(code: number, data?: string | string[] | null, context?: string | false, reason?: string): void {
    if (this.#isGivenUp) return;
    if (code >= 400) {
      const end = this.#parts.refused({ code, text: String(data ?? ''), reason, line: this.#line });
      if (end) {
        this.#refuse(end);
        return;
      }
    }
    const listLines = () => (this._upgrading ? [] : replyLines(code, data));
    this.#replies.send(this._socket, listLines, () => super.send(code, data, context));
    if (this.#parts.trace) for (const line of listLines()) this.#parts.trace.sent(line);
    // A 421 closes the session by itself.
    if (this.#lastReply && code !== 421) this.#refuse(this.#lastReply);
  }

  #ask(challenge: string, exchange: Exchange, callback: () => void): void {
    this._nextHandler = (line, done) => this.#step(exchange, line.toString().trim(), done);
    this.send(334, challenge);
    callback();
  }

  #step(exchange: Exchange, response: string, callback: () => void): void {
    const failed = (error: Error) => ({ kind: 'refused', reply: this.#parts.failed(error) }) as const;
    const answered = exchange(response).catch(failed);
    void answered.then((said) => {
      if (said.kind === 'challenge') return this.#ask(said.text, exchange, callback);
      if (said.kind === 'refused') this.#refuse(said.reply);
      else {
        this.session.user = said.login;
        this.send(235, '2.7.0 Authentication successful', false);
      }
      callback();
    });
  }
}
