/**
 * The one file that touches what nodemailer's SMTPConnection keeps to itself: what the next hop offers, where a
 * connection stands, the parameters of MAIL and RCPT that the library cannot say for each recipient, or not at all, and
 * the body, which is written here. Pinned by smtpclient.test.ts against the version in package.json.
 */
import type { Socket } from 'node:net';
import type { Transform } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import SMTPConnection from 'nodemailer/lib/smtp-connection/index.js';

interface Kept {
  readonly _supportedExtensions: readonly string[];
  readonly upgrading?: boolean;
  readonly stage: string;
  readonly _responseActions: ((reply: string) => void)[];
  readonly _responseQueue: string[];
  _connectToHost(options: unknown, secure: boolean): void;
  _processResponse(): unknown;
  _destroy(): void;
  _actionGreeting(reply: string): void;
  _actionEHLO(reply: string): void;
  _actionAUTH_LOGIN_USER(reply: string, callback: unknown): void;
  _actionAUTH_LOGIN_PASS(reply: string, callback: unknown): void;
  _sendCommand(line: string, shown?: string): void;
  _createSendStream(callback: unknown): Transform;
  _actionSMTPStream(reply: string, callback: unknown): void;
}

const Library = SMTPConnection as unknown as new (
  options: ConstructorParameters<typeof SMTPConnection>[0],
) => SMTPConnection & Kept;

type Envelope = Parameters<SMTPConnection['send']>[0];
type Done = Parameters<SMTPConnection['send']>[2];

export type Extension = 'DSN' | 'SMTPUTF8' | '8BITMIME';

const LINE_WITH_DOT = Buffer.from('\n.');
const LF = 0x0a;
const END = '.\r\n';
const END_OF_LINE = `\r\n${END}`;
/** A message of dots: each part is a write, and so many cost more than a copy. */
const MANY_PARTS = 100;
/** As large as a TLS record. */
const COPIED_BYTES = 16 * 1024;
const WAITING_BYTES = 64 * 1024;
/** Shorter ones would blank out words. */
const SECRET_LENGTH = 4;

/** What an unanswered SYN gets; a whole reply (RFC 5321 section 4.5.3.2); and the reply to the final dot (4.5.3.2.6). */
const MINUTE_MS = 60_000;
const CONNECT_MS = MINUTE_MS;
const REPLY_MS = 5 * MINUTE_MS;
const FINAL_REPLY_MS = 10 * MINUTE_MS;
const LATE = 'no whole reply within five minutes';

export class HopConnection extends Library {
  #parameters: ReadonlyMap<string, string> = new Map();
  /** Runs while a whole reply is awaited: a byte now and then is no answer. */
  #replyTimer: NodeJS.Timeout | undefined;
  /** How long the body of the next message may take. */
  #bodyMs = REPLY_MS;
  #secrets: readonly string[] = [];
  /** Names that the hop gave itself, in its greeting and in its answers to EHLO. */
  readonly names: string[] = [];
  /** It was ended by us, for want of time or on purpose: that says nothing of its handshake. */
  wasCut = false;
  /** The message that is being sent is on its way: it may have been taken, whatever happens now. */
  offered = false;
  /** Its end is not written yet. */
  isWriting = false;
  /** Called once the next hop has said 354. */
  onOffered: () => void = () => undefined;

  offers(extension: Extension): boolean {
    return this._supportedExtensions.includes(extension);
  }

  /** During STARTTLS the library says so itself; with implicit TLS it is everything before the greeting. */
  get isInHandshake(): boolean {
    return this.upgrading === true || (this.secureConnection && this.stage === 'init');
  }

  /** The library forgets it only when it says that the connection has ended. */
  get #socket(): Socket {
    return this._socket as Socket;
  }

  get tlsSocket(): TLSSocket | null {
    return this.secure ? (this._socket as TLSSocket) : null;
  }

  /** Further parameters for the commands of the next message, by the command that they follow. */
  say(parameters: ReadonlyMap<string, string>): void {
    this.#parameters = parameters;
  }

  /** True once the hop has greeted. */
  get isGreeted(): boolean {
    return this.names.length > 0;
  }

  get isConnecting(): boolean {
    return this._socket === undefined || (this._socket as Socket).connecting === true;
  }

  /** What the hop must never hear back from us through a log or a report: replies are cleared of it. */
  hide(secrets: readonly string[]): void {
    this.#secrets = secrets.filter((secret) => secret.length >= SECRET_LENGTH);
  }

  /** Ends it for this reason, and what is being sent fails with it. */
  cut(reason: string): void {
    this.wasCut = true;
    clearTimeout(this.#replyTimer);
    if (this._socket) this.#socket.destroy(new Error(reason));
    else this.close();
  }

  override _destroy(): void {
    clearTimeout(this.#replyTimer);
    super._destroy();
  }

  override _connectToHost(options: unknown, secure: boolean): void {
    super._connectToHost(options, secure);
    this.#await(CONNECT_MS, 'no connection within a minute');
    if (this._socket) this.#socket.once('connect', () => this.#await(REPLY_MS, LATE));
  }

  override _actionGreeting(reply: string): void {
    this.#readName(reply);
    super._actionGreeting(reply);
  }

  override _actionEHLO(reply: string): void {
    this.#readName(reply);
    super._actionEHLO(reply);
  }

  /** A bare 334 is a challenge without a text (RFC 4954 section 4). */
  override _actionAUTH_LOGIN_USER(reply: string, callback: unknown): void {
    super._actionAUTH_LOGIN_USER(reply === '334' ? '334 ' : reply, callback);
  }

  override _actionAUTH_LOGIN_PASS(reply: string, callback: unknown): void {
    super._actionAUTH_LOGIN_PASS(reply === '334' ? '334 ' : reply, callback);
  }

  override _processResponse(): unknown {
    const [reply] = this._responseQueue;
    if (reply !== undefined && this.#secrets.length > 0) this._responseQueue[0] = this.#withoutSecrets(reply);
    const queued = this._responseQueue.length;
    const result = super._processResponse();
    if (this._responseQueue.length < queued && !this.isWriting) this.#awaitReply();
    return result;
  }

  /** Begins to wait for the next whole reply, or stops where none is due. */
  #awaitReply(): void {
    if (this._responseActions.length === 0) clearTimeout(this.#replyTimer);
    else this.#await(REPLY_MS, LATE);
  }

  #await(ms: number, reason: string): void {
    clearTimeout(this.#replyTimer);
    if (!this.destroyed) this.#replyTimer = setTimeout(() => this.cut(reason), ms);
  }

  #readName(reply: string): void {
    if (reply.startsWith('2')) this.names.push((/^\d{3}[ -](\S+)/.exec(reply)?.[1] ?? '').toLowerCase());
  }

  #withoutSecrets(reply: string): string {
    return this.#secrets.reduce((text, secret) => text.replaceAll(secret, '***'), reply);
  }

  /**
   * In place of `send`, which takes streams: three of them for a message cost as much as its encryption. `bodyMs`: how
   * long the body may take from 354 on.
   */
  deliver(envelope: Envelope, body: Buffer | AsyncIterable<Buffer>, bodyMs: number, done: Done): void {
    this.#bodyMs = bodyMs;
    this.#together();
    // What the library is given it hands on to `write`, unless it looks like a stream.
    super.send(envelope, { body } as unknown as Buffer, done);
  }

  /** Called when the next hop said 354; the library writes the body to what is given here. */
  override _createSendStream(callback: unknown): Transform {
    this.offered = true;
    this.isWriting = true;
    this.onOffered();
    this.#await(this.#bodyMs, 'the next hop takes too long');
    this._responseActions.push((reply) => {
      if (this.isWriting && reply.startsWith('2')) this.cut('the next hop answered before the message ended');
      else this._actionSMTPStream(reply, callback);
    });
    const write = ({ body }: { body: Buffer | AsyncIterable<Buffer> }) => {
      if (Buffer.isBuffer(body)) this.#writeWhole(body);
      else void this.#writePieces(body);
    };
    return { write, end: () => undefined } as unknown as Transform;
  }

  #writeWhole(body: Buffer): void {
    this.#together();
    for (const part of dotStuffed(body, true)) this.#socket.write(part);
    this.#writeEnd(endsLine(body));
  }

  /** What fails cuts the connection: the message must not end. */
  async #writePieces(body: AsyncIterable<Buffer>): Promise<void> {
    try {
      let startsLine = true;
      for await (const piece of body) {
        if (piece.length === 0) continue;
        await this.#written(dotStuffed(piece, startsLine));
        startsLine = endsLine(piece);
      }
      this.#writeEnd(startsLine);
    } catch (error) {
      this.cut((error as Error).message);
    }
  }

  /** Its bytes are the giver's again: small pieces are copied and leave together, for others it is waited. */
  #written(parts: readonly Buffer[]): Promise<void> | undefined {
    const socket = this.#socket;
    const bytes = parts.reduce((sum, { length }) => sum + length, 0);
    if (bytes <= COPIED_BYTES && socket.writableLength < WAITING_BYTES) {
      this.#together();
      socket.write(Buffer.concat(parts));
      return undefined;
    }
    return new Promise((resolve, reject) => {
      socket.cork();
      parts.forEach((part, index) => {
        if (index < parts.length - 1) socket.write(part);
        else socket.write(part, (error) => (error ? reject(error) : resolve()));
      });
      socket.uncork();
    });
  }

  #writeEnd(isLineEnded: boolean): void {
    this.isWriting = false;
    this.#await(FINAL_REPLY_MS, 'no reply to the message within ten minutes');
    this.#socket.write(isLineEnded ? END : END_OF_LINE);
  }

  override _sendCommand(line: string, shown?: string): void {
    const end = line.indexOf('>');
    const more = end === -1 ? undefined : this.#parameters.get(line.slice(0, end + 1));
    super._sendCommand(more ? `${line} ${more}` : line, shown);
    if (!this.isWriting) this.#await(REPLY_MS, LATE);
  }

  /** Pipelined commands, or the parts of a body: what is written in this turn of the event loop leaves as one TLS record. */
  #together(): void {
    const socket = this.#socket;
    socket.cork();
    setImmediate(() => socket.uncork());
  }
}

function endsLine(bytes: Buffer): boolean {
  return bytes.at(-1) === LF;
}

/**
 * RFC 5321 section 4.5.2, natively searched: what is queued has CRLF only. Parts of the chunk itself: a copy for a dot here
 * and there would be a second one of the message.
 */
function dotStuffed(chunk: Buffer, startsLine: boolean): Buffer[] {
  const parts: Buffer[] = startsLine && chunk[0] === LINE_WITH_DOT[1] ? [LINE_WITH_DOT.subarray(1)] : [];
  let from = 0;
  for (let at = chunk.indexOf(LINE_WITH_DOT); at !== -1; at = chunk.indexOf(LINE_WITH_DOT, from)) {
    // The dot ends one part and begins the next.
    parts.push(chunk.subarray(from, at + LINE_WITH_DOT.length));
    from = at + 1;
  }
  parts.push(chunk.subarray(from));
  return parts.length > MANY_PARTS ? [Buffer.concat(parts)] : parts;
}
