/**
 * With hopreplies.ts the only file that uses private parts of nodemailer's SMTPConnection (smtplibrary.ts): the extensions
 * of the next hop, the state of the connection, and the MAIL and RCPT parameters that the library cannot set for each
 * recipient. bodywriter.ts writes the body. smtpclient.test.ts pins this to the version in package.json. Who waits for a reply
 * hears of each end of the connection: `deliver` by its callback, the others by `error` or `end`.
 */
import type { Socket } from 'node:net';
import type { Transform } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type SMTPConnection from 'nodemailer/lib/smtp-connection/index.js';
import { answerOnce, type Done, type Envelope } from './answeronce.ts';
import { joinWrites, writeEnd, writePieces, writeWhole } from './bodywriter.ts';
import { endsLine } from './dotstuffing.ts';
import { HopReplies } from './hopreplies.ts';
import { plainName } from './hostname.ts';
import { CONNECT_MS, FINAL_REPLY_MS, LateTimer, QUIT_REPLY_MS, REPLY_MS } from './latetimer.ts';
import type { Answered } from './smtplibrary.ts';

export type Extension = 'DSN' | 'SMTPUTF8' | '8BITMIME' | 'REQUIRETLS';

const LATE = 'no whole reply within five minutes';

export class HopConnection extends HopReplies {
  #parameters: ReadonlyMap<string, string> = new Map();
  /** Runs while a whole reply is awaited. A single byte does not reset this timer. */
  readonly #replyTimer = new LateTimer((reason) => this.cut(reason));
  /** A message that comes too late hears of it. */
  #endedBy: Error | undefined;
  /** How long the body of the next message may take. */
  #bodyMs = REPLY_MS;
  /** The names that the hop gave itself in its greeting and in its EHLO replies, in lower case without a final dot. */
  readonly names: string[] = [];
  /** Why we ended the connection: because of the hop (a time-out), or for a reason of this relay. */
  wasCut: 'hop' | 'relay' | undefined;
  /** The body is being sent. From now on the hop may have taken the message, whatever happens. */
  offered = false;
  /** The end of the body has not left yet, so a reply that has come cannot mean the whole message. */
  isWriting = false;
  /** LMTP: the replies to the message by recipient, as far as they have come. */
  readonly finalReplies = new Map<string, string>();
  /** Called after the next hop has answered 354. */
  onOffered: () => void = () => undefined;

  offers(extension: Extension): boolean {
    return this._supportedExtensions.includes(extension);
  }

  /** During STARTTLS the library has a flag for this. With implicit TLS it is the time before the greeting. */
  get isInHandshake(): boolean {
    return this.upgrading === true || (this.secureConnection && this.stage === 'init');
  }

  /** The library drops its socket only when it reports the end of the connection. */
  get #socket(): Socket {
    return this._socket as Socket;
  }

  get tlsSocket(): TLSSocket | null {
    return this.secure ? (this._socket as TLSSocket) : null;
  }

  /** Sets extra parameters for the commands of the next message. The key is the command that a parameter belongs to. */
  say(parameters: ReadonlyMap<string, string>): void {
    this.#parameters = parameters;
  }

  /** True after the greeting of the hop. */
  get isGreeted(): boolean {
    return this.names.length > 0;
  }

  isConnected = false;
  /** No HELO where EHLO is refused. */
  needsEhlo = false;

  /** Ends the connection for this reason, and a message that is being sent with it. Nothing more is read. */
  cut(reason: string, because: 'hop' | 'relay' = 'hop'): void {
    this.wasCut = because;
    const socket = this._socket as Socket | false;
    if (!socket) {
      this.close();
      return;
    }
    socket.destroy();
    this._onError(new Error(reason), 'ESOCKET', '', 'CONN');
  }

  /** What is left of a message must not leave any more: the hop would take it, and the relay sends it again. */
  override close(): void {
    if (this.isWriting || (this.offered && this.#socket.writableLength > 0)) this.#socket.destroy();
    super.close();
  }

  override _onError(...[error, ...rest]: Parameters<HopReplies['_onError']>): void {
    // The library adds the reply to it.
    if (!this.destroyed) this.#endedBy = error;
    super._onError(error, ...rest);
  }

  /** Who waits for a message is told by the library. Nobody else would hear of the 421. */
  override _onServerClosing(reply: string): void {
    if (this._pendingSend) super._onServerClosing(reply);
    else this._onError(new Error('the next hop closes the connection'), 'ECONNECTION', reply, 'CONN');
  }

  override _destroy(): void {
    this.#replyTimer.close();
    super._destroy();
  }

  /** The library looks no address up, so it has its socket at once. */
  override connect(...[done]: Parameters<SMTPConnection['connect']>): void {
    super.connect(done);
    const connected = () => {
      this.isConnected = true;
      this.#await(REPLY_MS, LATE);
    };
    // A tunnel through a proxy is connected before the library gets it.
    if (this.options.connection) {
      connected();
      // The library listens to it only later.
      const tunnel = this.#socket;
      tunnel.once('close', () => {
        if (this._socket === tunnel) this._onClose();
      });
    } else if (this._socket) {
      this.#await(CONNECT_MS, 'no connection within a minute');
      this.#socket.once('connect', connected);
    }
  }

  /** The library has its own timers for some phases. They use the wall clock, so they are off. */
  override _startPhase(): void {}

  override quit(): void {
    super.quit();
    this.#await(QUIT_REPLY_MS, 'no reply to QUIT');
  }

  noop(answered: (reply: string) => void): void {
    this._responseActions.push(answered);
    this._sendCommand('NOOP');
  }

  override _actionGreeting(reply: string): void {
    this.#readName(reply);
    super._actionGreeting(reply);
  }

  override _actionEHLO(reply: string): void {
    this.#readName(reply);
    const isUnknown = reply.startsWith('5') && !this.needsEhlo;
    // After 4xx the library would say HELO, and the host would seem to know neither STARTTLS nor 8BITMIME.
    if (isUnknown || reply.startsWith('2')) super._actionEHLO(reply);
    else this._onError(new Error('EHLO is refused'), 'EPROTOCOL', reply, 'EHLO');
  }

  override _actionHELO(reply: string): void {
    this.#readName(reply);
    super._actionHELO(reply);
  }

  /** At level Opportunistic the library would go on in plain text after a 421, over a connection that ends. */
  override _actionSTARTTLS(reply: string): void {
    const isGoodbye = reply.startsWith('421') && this.options.opportunisticTLS === true;
    if (isGoodbye) this._onError(new Error('STARTTLS is refused'), 'ECONNECTION', reply, 'STARTTLS');
    else super._actionSTARTTLS(reply);
  }

  protected override get isAwaitingRecipients(): boolean {
    return this.options.lmtp === true && this.offered && this._responseActions.length > 0;
  }

  /** Starts the timer for the next whole reply. Stops it if no reply is due. A message has a timer of its own. */
  protected override onAnswered(): void {
    if (this._responseActions.length === 0 && !this.isInHandshake) this.#replyTimer.stop();
    else if (!this.offered) this.#await(REPLY_MS, LATE);
    else if (!this.isWriting) this.#awaitFinalReply();
  }

  #await(ms: number, reason: string): void {
    if (!this.destroyed) this.#replyTimer.start(ms, reason);
  }

  #readName(reply: string): void {
    if (reply.startsWith('2')) this.names.push(plainName(/^\d{3}[ -](\S+)/.exec(reply)?.[1] ?? ''));
  }

  /**
   * Replaces `send`, which takes streams: three streams for each message cost as much CPU as its encryption. `bodyMs`
   * limits the time of the body from the 354 on.
   */
  deliver(envelope: Envelope, body: Buffer | AsyncIterable<Buffer>, bodyMs: number, done: Done): void {
    this.#bodyMs = bodyMs;
    this.finalReplies.clear();
    if (this.destroyed) {
      done(this.#endedBy ?? new Error('the connection was closed'));
      return;
    }
    joinWrites(this.#socket);
    // The library passes this object on to `write`, unless the object looks like a stream.
    super.send(envelope, { body } as unknown as Buffer, answerOnce(this, envelope, done));
  }

  /** The library calls this after the 354 and writes the body to the returned stream. */
  override _createSendStream(callback: unknown): Transform {
    this.offered = true;
    this.isWriting = true;
    this.onOffered();
    this.#await(this.#bodyMs, 'the next hop takes too long');
    if (this.options.lmtp) this.#expectEach(callback as Answered);
    else this.#expectFinal((reply) => this._actionSMTPStream(reply, callback));
    const write = ({ body }: { body: Buffer | AsyncIterable<Buffer> }) => {
      if (!Buffer.isBuffer(body)) return void this.#writePieces(body);
      this.#joinEnd(endsLine(body));
      writeWhole(this.#socket, body);
    };
    return { write, end: () => undefined } as unknown as Transform;
  }

  /** LMTP: each recipient that was accepted gets a reply of its own, in order (RFC 2033 section 4.2). */
  #expectEach(answered: Answered): void {
    const { accepted } = this._envelope;
    accepted.forEach((recipient, index) => {
      this.#expectFinal((reply) => {
        this.finalReplies.set(recipient, reply);
        if (index === accepted.length - 1) answered(null, reply);
      });
    });
  }

  #expectFinal(take: (reply: string) => void): void {
    this._responseActions.push((reply) => {
      if (this.isWriting && reply.startsWith('2')) this.cut('the next hop answered before the message ended');
      else take(reply);
    });
  }

  /**
   * The library takes a 2xx for a go-ahead. It answers another command, so the replies are not those that we think. LMTP: a
   * hop that takes the message for nobody would never answer it.
   */
  override _actionDATA(reply: string, callback: unknown): void {
    const isForNobody =
      this.options.lmtp === true && reply.startsWith('3') && this._envelope.accepted.length === 0;
    if (isForNobody) this.close();
    if (reply.startsWith('2'))
      this._onError(new Error(`DATA is answered without 354: ${reply}`), 'EPROTOCOL', '', 'DATA');
    else super._actionDATA(isForNobody ? '503 no recipients' : reply, callback);
  }

  /** A failure cuts the connection, because the message must not end normally. */
  async #writePieces(body: AsyncIterable<Buffer>): Promise<void> {
    try {
      this.#joinEnd(await writePieces(this.#socket, body));
    } catch (error) {
      this.cut((error as Error).message);
    }
  }

  /**
   * The end of the body leaves with the other writes of this turn. It is written last, because a socket that the hop ends sends
   * what is written already.
   */
  #joinEnd(isLineEnded: boolean): void {
    const socket = this.#socket;
    joinWrites(socket, () => {
      if (this.destroyed || !socket.writable) return;
      writeEnd(socket, isLineEnded);
      this.isWriting = false;
      this.#awaitFinalReply();
    });
  }

  #awaitFinalReply(): void {
    this.#await(FINAL_REPLY_MS, 'no reply to the message within ten minutes');
  }

  override _sendCommand(line: string, shown = line): void {
    // The library would forget who waits, and the socket tells of its end only later.
    if (!this.destroyed && this.#socket.destroyed) this._onClose();
    if (this.destroyed) return;
    if (shown !== line) this.secrets.add(line);
    const end = line.indexOf('>');
    const more = end === -1 ? undefined : this.#parameters.get(line.slice(0, end + 1));
    super._sendCommand(more ? `${line} ${more}` : line, shown);
    if (!this.isWriting) this.#await(REPLY_MS, LATE);
  }
}
