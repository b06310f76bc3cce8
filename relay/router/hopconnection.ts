/**
 * The one file that touches what nodemailer's SMTPConnection keeps to itself: what the next hop offers, where a
 * connection stands, and the parameters of MAIL and RCPT that the library cannot say for each recipient, or not at all.
 * Pinned by smtp.test.ts against the version in package.json.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import SMTPConnection from 'nodemailer/lib/smtp-connection/index.js';

interface Kept {
  readonly _supportedExtensions: readonly string[];
  readonly upgrading?: boolean;
  readonly stage: string;
  _sendCommand(line: string, shown?: string): void;
}

const Library = SMTPConnection as unknown as new (
  options: ConstructorParameters<typeof SMTPConnection>[0],
) => SMTPConnection & Kept;

export type Extension = 'DSN' | 'SMTPUTF8' | '8BITMIME';

export class HopConnection extends Library {
  #parameters: ReadonlyMap<string, string> = new Map();

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

  override _sendCommand(line: string, shown?: string): void {
    const end = line.indexOf('>');
    const more = end === -1 ? undefined : this.#parameters.get(line.slice(0, end + 1));
    super._sendCommand(more ? `${line} ${more}` : line, shown);
  }
}
