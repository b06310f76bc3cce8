/**
 * The replies of a next hop and the end of its connection, in place of the library's own reading. Each whole reply that
 * was received counts, in order, before anything that comes later, also before the end. What is left over after the last
 * answer ends the session. A wait for a close is bounded, and a socket that is closed already ends it at once.
 */
import type { Socket } from 'node:net';
import type SMTPConnection from 'nodemailer/lib/smtp-connection/index.js';
import { readKnownWords } from '#crds/loginproblems.ts';
import { AuthSecrets } from './authsecrets.ts';
import { readCodes } from './reply.ts';
import { ReplyReader } from './replyreader.ts';
import { Library } from './smtplibrary.ts';

export abstract class HopReplies extends Library {
  readonly #reader = new ReplyReader();
  protected readonly secrets = new AuthSecrets();
  #isLoggingIn = false;
  readonly #closing = Promise.withResolvers<void>();
  /** Resolves when the socket is closed. */
  readonly closed = this.#closing.promise;
  #isQuitting = false;
  /** The 421 of the hop. */
  #goodbye: string | undefined;

  /** No message goes over it any more. */
  get isEnding(): boolean {
    return this.#isQuitting || this.destroyed;
  }

  /** A command has its answer. */
  protected abstract onAnswered(): void;
  /** LMTP: the hop owes more replies to one message. */
  protected abstract get isAwaitingRecipients(): boolean;

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
      this.#take(this.#cleaned(reply), asked > 0);
      asked -= 1;
      if (this.destroyed) return;
    }
    if (this.#reader.isTooLong) this._onResponseTooLarge();
    else if (this._responseActions.length === 0 && this.#reader.isInReply) this.#endUnasked();
  }

  /** A consent that came before its command was sent consents to something else. */
  #take(reply: string, isAsked: boolean): void {
    this.lastServerResponse = reply;
    if (this.options.transactionLog) this.logger.debug({ tnx: 'server' }, reply);
    if (/^421(?: |-|$)/.test(reply)) this.#goodbye = reply;
    const answered = isAsked || /^[45]/.test(reply) ? this._responseActions.shift() : undefined;
    answered?.call(this, reply);
    if (this.destroyed) return;
    // The hop is about to close. Recipients of LMTP have replies of their own until it does.
    const isOver = this.#goodbye !== undefined && !this.isAwaitingRecipients;
    if (isOver) this._onServerClosing(this.#goodbye ?? '');
    else if (answered) this.onAnswered();
    else this.#endUnasked(`: ${reply}`);
  }

  /** The error has no reply, because this one answers nothing. */
  #endUnasked(said = ''): void {
    this._onError(new Error(`a reply that nobody asked for${said}`), 'EPROTOCOL', '', 'CONN');
  }

  /** What came in plain text must not count under TLS (RFC 3207 section 6). */
  override _upgradeConnection(done: unknown): void {
    this.#reader.clear();
    super._upgradeConnection(done);
  }

  /** A reply that was cut off by the end of the connection becomes part of the error. */
  override _onClose(): void {
    this._remainder = this.#cleaned(this.#reader.rest);
    super._onClose();
  }

  override login(...[auth, done]: Parameters<SMTPConnection['login']>): void {
    this.#isLoggingIn = true;
    super.login(auth, (...answer) => {
      this.#isLoggingIn = false;
      done(...answer);
    });
  }

  /**
   * Of a reply to AUTH only the codes and known words are kept, because some hops echo what we said. A bare 334 is a challenge without
   * text (RFC 4954 section 4). Only CRAM-MD5 reads the text of one.
   */
  #cleaned(reply: string): string {
    if (!this.#isLoggingIn || reply.trim() === '') return this.secrets.blank(reply);
    const known = `${readCodes(reply)} ${readKnownWords(reply)}`.trim();
    if (!reply.startsWith('334')) return `${known} (its text is not kept)`;
    return this._authMethod === 'CRAM-MD5' ? reply : '334 ';
  }

  /** Ends the connection, and resolves when its socket is closed. */
  leave(): Promise<void> {
    this.close();
    return this.closed;
  }

  override quit(): void {
    this.#isQuitting = true;
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
