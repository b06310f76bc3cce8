/**
 * The one file that touches what nodemailer's SMTPConnection keeps to itself: what the next hop offers, where a
 * connection stands, and the parameters of MAIL and RCPT that the library cannot say for each recipient, or not at all.
 * Pinned by smtp.test.ts against the version in package.json.
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
  _sendCommand(line: string, shown?: string): void;
  _createSendStream(callback: unknown): Transform;
  _actionSMTPStream(reply: string, callback: unknown): void;
}

const Library = SMTPConnection as unknown as new (
  options: ConstructorParameters<typeof SMTPConnection>[0],
) => SMTPConnection & Kept;

export type Extension = 'DSN' | 'SMTPUTF8' | '8BITMIME';

const LINE_WITH_DOT = Buffer.from('\n.');
const LF = 0x0a;
const END = '.\r\n';
const END_OF_LINE = `\r\n${END}`;
/** A message of dots: each part is a write, and so many cost more than a copy. */
const MANY_PARTS = 100;

export class HopConnection extends Library {
  #parameters: ReadonlyMap<string, string> = new Map();
  #isWhole = false;
  /** The message that is being sent is on its way: it may have been taken, whatever happens now. */
  offered = false;

  offers(extension: Extension): boolean {
    return this._supportedExtensions.includes(extension);
  }

  /** During STARTTLS the library says so itself; with implicit TLS it is everything before the greeting. */
  get isInHandshake(): boolean {
    return this.upgrading === true || (this.secureConnection && this.stage === 'init');
  }

  get tlsSocket(): TLSSocket | null {
    return this.secure ? (this._socket as TLSSocket) : null;
  }

  /** Further parameters for the commands of the next message, by the command that they follow. */
  say(parameters: ReadonlyMap<string, string>): void {
    this.#parameters = parameters;
  }

  /** Ends it for this reason, and what is being sent fails with it. */
  cut(reason: string): void {
    (this._socket as Socket).destroy(new Error(reason));
  }

  override send(...message: Parameters<SMTPConnection['send']>): void {
    this.#isWhole = Buffer.isBuffer(message[1]);
    this.#together();
    super.send(...message);
  }

  /** Called when the next hop said 354. */
  override _createSendStream(callback: unknown): Transform {
    this.offered = true;
    if (this.#isWhole) return this.#wholeBody(callback) as unknown as Transform;
    // The library looks at each byte. What is queued has CRLF only, so that a native search finds what is to be stuffed.
    const stream = super._createSendStream(callback) as Transform & { lastByte: number | false };
    stream._transform = (chunk: Buffer, _encoding, done) => {
      const startsLine = stream.lastByte === false || stream.lastByte === LF;
      stream.lastByte = chunk.at(-1) ?? stream.lastByte;
      this.#together();
      for (const part of dotStuffed(chunk, startsLine)) stream.push(part);
      done();
    };
    return stream;
  }

  /** What the library writes a body to that is all in memory: three streams for it would cost as much as its encryption. */
  #wholeBody(callback: unknown) {
    const socket = this._socket as Socket;
    this._responseActions.push((reply) => this._actionSMTPStream(reply, callback));
    this.#together();
    return {
      write: (body: Buffer) => {
        for (const part of dotStuffed(body, true)) socket.write(part);
        socket.write(body.at(-1) === LF ? END : END_OF_LINE);
      },
      end: () => undefined,
    };
  }

  override _sendCommand(line: string, shown?: string): void {
    const end = line.indexOf('>');
    const more = end === -1 ? undefined : this.#parameters.get(line.slice(0, end + 1));
    super._sendCommand(more ? `${line} ${more}` : line, shown);
  }

  /** Pipelined commands, or the parts of a body: what is written in this turn of the event loop leaves as one TLS record. */
  #together(): void {
    const socket = this._socket as Socket;
    socket.cork();
    setImmediate(() => socket.uncork());
  }
}

/** RFC 5321 section 4.5.2. Parts of the chunk itself: a copy for a dot here and there would be a second one of the message. */
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
