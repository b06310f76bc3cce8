/**
 * The replies of a next hop and the end of its connection, in place of the library's own reading. Each whole reply that
 * was received counts, in order, before anything that comes later, also before the end. A reply that is cut off counts for
 * nothing, and is told. A reply whose command was not sent when it began answers nothing, and ends the session. Where replies
 * may belong to other commands than we think, the session ends too. A wait for a close is bounded, and a socket that is
 * closed already ends it at once.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type SMTPConnection from 'nodemailer/lib/smtp-connection/index.js';
import { readKnownWords } from '#crds/loginproblems.ts';
import { leaveChain } from '../task/leavechain.ts';
import { AuthSecrets } from './authsecrets.ts';
import { type Reply, readCodes } from './reply.ts';
import { ReplyReader } from './replyreader.ts';
import { Library } from './smtplibrary.ts';

export abstract class HopReplies extends Library {
  readonly #reader = new ReplyReader();
  secrets = new AuthSecrets();
  #isLoggingIn = false;
  readonly #closing = Promise.withResolvers<void>();
  /** Resolves when the socket is closed. */
  readonly closed = this.#closing.promise;
  protected isQuitting = false;
  /** The result of the delivery waits for the reply to QUIT. */
  protected isProving = false;
  /** The 421 of the hop. */
  #goodbye: string | undefined;
  /** The reply that is being answered, or the last one. Who reads a code reads it here. */
  protected said: Reply = { code: 0, text: '', isDoubtful: false };
  /** Its text as it came. It is never told: it may have what was said in a login. */
  protected heard = '';
  /** Why the replies to the envelope, or to a message under way, may belong to other commands. Nobody is refused by them. */
  shift: Error | undefined;
  /** Commands that left together were not answered up to the 354, so one at a time may be told apart. */
  hasShiftedTogether = false;

  /** No message goes over it any more, and its last one has its result: its place is free as soon as it is closed. */
  get isEnding(): boolean {
    return this.destroyed || (this.isQuitting && !this.isProving);
  }

  /** A command has its answer. */
  protected abstract onAnswered(): void;
  /** The hop has said 354. */
  abstract offered: boolean;
  /** True after the greeting of the hop. */
  abstract get isGreeted(): boolean;
  /** LMTP: the hop owes more replies to one message. */
  protected abstract get isAwaitingRecipients(): boolean;
  /** Commands were sent together, and the 354 that shows which replies are whose is still to come. */
  protected abstract get isInBatch(): boolean;

  /**
   * Replaces the library's own reading, which forgets replies that came when the connection ends. Each whole reply counts,
   * in order, before anything that comes later. What nobody has asked for ends the session: the next reply would be
   * taken for the answer to another command.
   */
  override _onData(chunk: Buffer): void {
    if (this.destroyed) return;
    this.#reader.add(chunk);
    let asked = this._responseActions.length;
    for (let reply = this.#reader.next(); reply !== undefined; reply = this.#reader.next()) {
      this.heard = reply.text;
      this.said = this.#cleaned(reply);
      this.#take(this.said, asked > 0);
      asked -= 1;
      if (this.destroyed) return;
    }
    if (this.#reader.isTooLong) this._onResponseTooLarge();
    else if (!this.isGreeted && this.#reader.hasText) this.#endUngreeted(this.#takeBegun());
    else if (asked <= 0 && this.#isUnasked) this.#endUnasked(this.#takeBegun());
  }

  /** What has come without a whole reply. Text without a code is no reply, but where nobody waits nothing may come. */
  get #isUnasked(): boolean {
    if (this._responseActions.length === 0) return this.#reader.isInReply;
    return this.#reader.hasBegun && !this.#mayBeRefused;
  }

  /** A message may be refused from the 354 on. */
  get #mayBeRefused(): boolean {
    return this.offered && this._responseActions.length > 0;
  }

  /**
   * A reply that came before its command was sent answers something else, also if it is a refusal. A 421 may always come, and
   * whoever waits gets it as the reason for the end, whatever text is before it.
   */
  #take({ code, text, isDoubtful }: Reply, isAsked: boolean): void {
    this.lastServerResponse = text;
    this.#trace(text);
    if (isDoubtful && !this.isGreeted) {
      this.#endUngreeted(text);
      return;
    }
    if (isDoubtful && this.isInBatch && code !== 421) {
      this.endShifted(`text without a code came between the replies: ${text}`);
      return;
    }
    const isGoodbye = code === 421;
    if (isGoodbye) this.#goodbye = text;
    const isAnswer = isAsked || isGoodbye || (this.#mayBeRefused && code >= 400);
    const answered = isAnswer ? this._responseActions.shift() : undefined;
    answered?.call(this, text);
    if (this.destroyed) return;
    // The hop is about to close. Recipients of LMTP have replies of their own until it does.
    const isOver = this.#goodbye !== undefined && !this.isAwaitingRecipients;
    if (isOver) this._onServerClosing(this.#goodbye ?? '');
    else if (answered) this.onAnswered();
    else this.#endUnasked(text);
  }

  #trace(reply: string): void {
    if (this.options.transactionLog) this.logger.debug({ tnx: 'server' }, reply);
  }

  /** What has come of a reply that will not be read to its end. */
  #takeBegun(): string {
    const begun = this.#cleanedText(this.#reader.begun);
    this.#trace(begun);
    return begun;
  }

  /** A host that begins with text without a code speaks another protocol. Nobody waits five minutes for its greeting. */
  #endUngreeted(said: string): void {
    this._onError(new Error(`no greeting of SMTP: ${said}`), 'EPROTOCOL', '', 'CONN');
  }

  /** What is behind the answer to a message says nothing of it. */
  #endUnasked(said: string): void {
    const reason = `a reply that nobody asked for: ${said}`;
    if (!this.offered || this._pendingSend) this.endShifted(reason);
    else this._onError(new Error(reason), 'EPROTOCOL', '', 'CONN');
  }

  /** The error has no reply, because nobody knows what the reply answers. */
  protected endShifted(reason: string): void {
    this.shift ??= new Error(reason);
    this.hasShiftedTogether ||= !this.offered && this._envelope?.pipelined === true;
    this._onError(this.shift, 'EPROTOCOL', '', 'CONN');
  }

  /** Adds what has come of a reply that comes too late. */
  protected withBegun(reason: string): string {
    return this.#reader.isInReply ? `${reason}, only ${this.#takeBegun()}` : reason;
  }

  /** What came in plain text must not count under TLS (RFC 3207 section 6). */
  override _upgradeConnection(done: unknown): void {
    this.#reader.clear();
    super._upgradeConnection(done);
    this.leaveChain();
  }

  /** To be called when the library has begun TLS. */
  protected leaveChain(): void {
    if (this._socket instanceof TLSSocket) leaveChain(this._socket);
  }

  override _onClose(): void {
    if (this.isQuitting || this.destroyed || !this.#reader.isInReply) super._onClose();
    else this._onError(new Error('Connection closed unexpectedly'), 'ECONNECTION', '', 'CONN');
  }

  /** A reply that the end of the connection cut off is a part of the message only. As the reply of the error it would count. */
  override _onError(error: Error, type: string, reply: string, command: string): void {
    // The errors of a socket have a code. Ours have none.
    const isEnd = type === 'ECONNECTION' || (type === 'ESOCKET' && 'code' in error);
    if (isEnd && !reply && !this.destroyed && this.#reader.isInReply)
      error.message += ` in the middle of a reply: ${this.#takeBegun()}`;
    super._onError(error, type, reply, command);
  }

  override login(...[auth, done]: Parameters<SMTPConnection['login']>): void {
    this.#isLoggingIn = true;
    super.login(auth, (...answer) => {
      this.#isLoggingIn = false;
      done(...answer);
    });
  }

  /**
   * Of a reply to AUTH only the codes and known words are kept, because some hops echo what we said. A bare 334 is a challenge
   * without text (RFC 4954 section 4).
   */
  #cleaned(reply: Reply): Reply {
    const { code, text } = reply;
    if (!this.#isLoggingIn) return { ...reply, text: `${code}${this.secrets.blank(text.slice(3))}` };
    return { ...reply, text: code === 334 ? '334 ' : this.#cleanedText(text) };
  }

  #cleanedText(said: string): string {
    if (!this.#isLoggingIn || said.trim() === '') return this.secrets.blank(said);
    return `${`${readCodes(said)} ${readKnownWords(said)}`.trim()} (its text is not kept)`;
  }

  /** Ends the connection, and resolves when its socket is closed. */
  leave(): Promise<void> {
    this.close();
    return this.closed;
  }

  override quit(): void {
    this.isQuitting = true;
    super.quit();
  }

  override _destroy(): void {
    if (this.destroyed) return;
    super._destroy();
    this.#awaitClose();
  }

  /**
   * A hop may count the connection until its socket is closed. A socket that is destroyed already is closed, and may tell
   * nobody of that again. The library cuts one whose hop keeps its side open for five seconds, and reads no more.
   */
  #awaitClose(): void {
    const socket = this._socket as Socket | false;
    if (!socket || socket.destroyed) this.#closing.resolve();
    else socket.once('close', () => this.#closing.resolve()).resume();
  }
}
