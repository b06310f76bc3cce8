/**
 * A connection to a next hop: its extensions, its state, the MAIL and RCPT parameters that the library cannot set for each
 * recipient, and the replies to a message. Only this file, hopanswers.ts and hopreplies.ts use private parts of nodemailer's
 * SMTPConnection (smtplibrary.ts); smtpclient.test.ts, bodywriter.test.ts and silenthops.test.ts pin them to the version in
 * package.json. bodywriter.ts writes the body. Who waits for a reply hears of each end of the connection: `deliver` by its
 * callback, the others by `error` or `end`.
 */
import type { Socket } from 'node:net';
import type { Transform } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type SMTPConnection from 'nodemailer/lib/smtp-connection/index.js';
import { monotonic } from '../task/clock.ts';
import { answerOnce, type Done, type Envelope } from './answeronce.ts';
import { joinWrites, writeEnd, writePieces, writeWhole } from './bodywriter.ts';
import { endsLine } from './dotstuffing.ts';
import { HopAnswers } from './hopanswers.ts';
import {
  CONNECT_MS,
  FINAL_REPLY_MS,
  LateTimer,
  NEXT_REPLY_MS,
  QUIT_REPLY_MS,
  REPLY_MS,
} from './latetimer.ts';
import type { Reply } from './reply.ts';
import type { Answered } from './smtplibrary.ts';

export type Extension = 'DSN' | 'SMTPUTF8' | '8BITMIME' | 'REQUIRETLS';

const LATE = 'no whole reply within five minutes';

export class HopConnection extends HopAnswers {
  #parameters: ReadonlyMap<string, string> = new Map();
  /** Runs while a whole reply is awaited. A single byte does not reset this timer. */
  readonly #replyTimer = new LateTimer((reason) => {
    this.noteSilence();
    this.cut(this.withBegun(reason));
  });
  /** A message that comes too late hears of it. */
  #endedBy: Error | undefined;
  /** How long the body of the next message may take. */
  #bodyMs = REPLY_MS;
  /** Why we ended the connection: because of the hop (a time-out), or for a reason of this relay. */
  wasCut: 'hop' | 'relay' | undefined;
  /** The body is being sent. From now on the hop may have taken the message, whatever happens. */
  offered = false;
  /** The end of the body has not left yet, so a reply that has come cannot mean the whole message. */
  isWriting = false;
  /** The reply to the message. */
  finalReply: Reply | undefined;
  /** LMTP: the replies to the message by recipient, as far as they have come. */
  readonly finalReplies = new Map<string, Reply>();
  /** How many replies the message had to get when its end left, and when the last of them must have come. */
  #repliesOwed = 0;
  #repliesBy = 0;
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

  isConnected = false;
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

  /** The end of the message is still here. The hop has not got it, so it has not taken the message. */
  get isSending(): boolean {
    return this.isWriting || (this.offered && this.#socket.writableLength > 0);
  }

  /** What is left of a message must not leave any more: the hop would take it, and the relay sends it again. */
  override close(): void {
    if (this.isSending) this.#socket.destroy();
    super.close();
  }

  /** A hop that has ended its side answers nothing more. The library would send it the rest. */
  override _onEnd(): void {
    if (this.isSending)
      this.cut(this.withBegun('the next hop ended the connection before the message ended'));
    else super._onEnd();
  }

  override _onError(...[error, ...rest]: Parameters<HopAnswers['_onError']>): void {
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
    this.leaveChain();
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

  noop(answered: (reply: Reply) => void): void {
    this._responseActions.push(() => answered(this.said));
    this._sendCommand('NOOP');
  }

  protected override get isAwaitingRecipients(): boolean {
    return this.options.lmtp === true && this.offered && this._responseActions.length > 0;
  }

  /** Starts the timer for the next whole reply. Stops it if no reply is due. A message has a timer of its own. */
  protected override onAnswered(): void {
    // What comes behind QUIT gets no time of its own.
    if (this.isQuitting) return;
    if (this._responseActions.length === 0 && !this.isInHandshake) this.#replyTimer.stop();
    else if (!this.offered) this.#await(REPLY_MS, LATE);
    else if (!this.isWriting) this.#awaitFinalReply();
  }

  #await(ms: number, reason: string): void {
    if (!this.destroyed) this.#replyTimer.start(ms, reason);
  }

  /**
   * Replaces `send`, which takes streams: three streams for each message cost as much CPU as its encryption. `bodyMs`
   * limits the time of the body from the 354 on.
   */
  deliver(envelope: Envelope, body: Buffer | AsyncIterable<Buffer>, bodyMs: number, done: Done): void {
    this.#bodyMs = bodyMs;
    this.finalReply = undefined;
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
    else {
      this.#expectFinal((reply) => {
        this.finalReply = reply;
        this._actionSMTPStream(reply.text, callback);
      });
    }
    const write = ({ body }: { body: Buffer | AsyncIterable<Buffer> }) => {
      if (!Buffer.isBuffer(body)) return void this.#writePieces(body);
      this.#joinEnd(endsLine(body));
      writeWhole(this.#socket, body);
    };
    return { write, end: () => undefined } as unknown as Transform;
  }

  /**
   * LMTP: each recipient that was accepted gets a reply of its own, in order (RFC 2033 section 4.2). Text without a code between
   * them may have been one of them. It was none if all come.
   */
  #expectEach(answered: Answered): void {
    const { accepted = [] } = this._envelope ?? {};
    const doubtful = new Map<string, Reply>();
    accepted.forEach((recipient, index) => {
      this.#expectFinal((reply) => {
        const isDoubtful = reply.isDoubtful || doubtful.size > 0;
        (isDoubtful ? doubtful : this.finalReplies).set(recipient, reply);
        if (index < accepted.length - 1) return;
        for (const [one, late] of doubtful) this.finalReplies.set(one, late);
        answered(null, reply.text);
      });
    });
  }

  #expectFinal(take: (reply: Reply) => void): void {
    this._responseActions.push(() => {
      if (this.isWriting && this.said.code < 300) this.endEarly();
      else take(this.said);
    });
  }

  /** A hop that has not got the end of a message has taken nothing, whatever it says. */
  endEarly(): void {
    this.endShifted('the next hop answered before the message ended');
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
      this.#repliesOwed = this._responseActions.length;
      this.#repliesBy = monotonic() + FINAL_REPLY_MS + NEXT_REPLY_MS * Math.max(0, this.#repliesOwed - 1);
      this.#awaitFinalReply();
    });
  }

  #awaitFinalReply(): void {
    const late =
      this.#repliesOwed > 1
        ? 'the replies to the message take too long'
        : 'no reply to the message within ten minutes';
    this.#await(Math.min(FINAL_REPLY_MS, this.#repliesBy - monotonic()), late);
  }

  override _sendCommand(line: string, shown = line): void {
    // The library would forget who waits, and the socket tells of its end only later.
    if (!this.destroyed && this.#socket.destroyed) this._onClose();
    if (this.destroyed) return;
    if (shown !== line) this.secrets.add(line, shown);
    const end = line.indexOf('>');
    const more = end === -1 ? undefined : this.#parameters.get(line.slice(0, end + 1));
    super._sendCommand(more ? `${line} ${more}` : line, shown);
    if (!this.isWriting) this.#await(REPLY_MS, LATE);
  }
}
