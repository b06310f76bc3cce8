/**
 * What a next hop answers to each command, where the library would take it otherwise. With PIPELINING (RFC 2920) MAIL, RCPT
 * and DATA leave together, and their replies are told apart by their order alone. A reply that none of them can have shows
 * that the order is another than we think: then nobody is refused, and the session ends.
 */
import { HopReplies } from './hopreplies.ts';
import { plainName } from './hostname.ts';
import { codedLines, type Reply } from './reply.ts';

/** In one line, as the library reads it. */
const CHALLENGE = /^334\s+.+$/;

const isIntermediate = ({ code }: Reply) => code >= 300 && code < 400;

export abstract class HopAnswers extends HopReplies {
  /** The names that the hop gave itself in its greeting and in its EHLO replies, in lower case without a final dot. */
  readonly names: string[] = [];
  /** No HELO where EHLO is refused in plain text. */
  needsEhlo = false;
  /** Under TLS the hop refused EHLO. It may offer what HELO does not tell. */
  hidesOffers = false;
  #namesInClear = 0;

  override get isGreeted(): boolean {
    return this.names.length > 0;
  }

  /** Without those in plain text before TLS: they may be the word of anybody. */
  get ownNames(): readonly string[] {
    return this.names.slice(this.#namesInClear);
  }

  override _upgradeConnection(done: unknown): void {
    this.#namesInClear = this.names.length;
    super._upgradeConnection(done);
  }

  override _actionGreeting(reply: string): void {
    this.#readName();
    super._actionGreeting(reply);
  }

  override _actionEHLO(reply: string): void {
    this.#readName();
    const { code } = this.said;
    // The library would find extensions in the names of hosts (dsn.example), which are in the first line.
    if (code < 300) super._actionEHLO(codedLines(this.heard).replace(/.*/, '250-hop'));
    else if (code >= 500 && (this.secure || !this.needsEhlo)) {
      // Some hosts refuse a second EHLO. TLS is there already, and the library would ask HELO for STARTTLS.
      if (this.secure) this.options.requireTLS = false;
      this.hidesOffers = this.secure;
      super._actionEHLO(codedLines(reply));
    }
    // After 4xx the library would say HELO, and the host would seem to know neither STARTTLS nor 8BITMIME.
    else this._onError(new Error('EHLO is refused'), 'EPROTOCOL', reply, 'EHLO');
  }

  override _actionHELO(reply: string): void {
    this.#readName();
    super._actionHELO(reply);
  }

  /** At level Opportunistic the library would go on in plain text after a 421, over a connection that ends. */
  override _actionSTARTTLS(reply: string): void {
    const isGoodbye = this.said.code === 421 && this.options.opportunisticTLS === true;
    if (isGoodbye) this._onError(new Error('STARTTLS is refused'), 'ECONNECTION', reply, 'STARTTLS');
    else super._actionSTARTTLS(reply);
  }

  /** The challenge is not told. Behind the digest of the password a 334 is none. */
  override _actionAUTH_CRAM_MD5(reply: string, callback: unknown): void {
    super._actionAUTH_CRAM_MD5(CHALLENGE.test(this.heard) ? this.heard : reply, callback);
  }

  #readName(): void {
    const { code } = this.said;
    if (code < 300) this.names.push(plainName(/^.{3}[ -](\S+)/.exec(this.heard)?.[1] ?? ''));
  }

  /** One command at a time, for a hop whose replies have shifted before. */
  stopPipelining(): void {
    const at = this._supportedExtensions.indexOf('PIPELINING');
    if (at !== -1) this._supportedExtensions.splice(at, 1);
  }

  /** Some hosts lose what comes together with a command that they answer. */
  protected noteSilence(): void {
    const { to = [] } = this._envelope ?? {};
    const isAnsweredInPart = this._responseActions.length < to.length + 2;
    this.hasShiftedTogether ||= this.isInBatch && isAnsweredInPart;
  }

  protected override get isInBatch(): boolean {
    return Boolean(this._pendingSend) && !this.offered && this._envelope?.pipelined === true;
  }

  override _actionMAIL(reply: string, callback: unknown): void {
    if (isIntermediate(this.said)) this.endShifted(`MAIL is answered as DATA: ${reply}`);
    else super._actionMAIL(reply, callback);
  }

  override _actionRCPT(reply: string, callback: unknown): void {
    const isTaken = this.said.code < 300;
    if (isIntermediate(this.said)) this.endShifted(`RCPT is answered as DATA: ${reply}`);
    else if (isTaken && this._envelope?.mailError)
      this.endShifted(`MAIL is refused, and RCPT is not: ${reply}`);
    else super._actionRCPT(reply, callback);
  }

  /**
   * The library takes a 2xx for a go-ahead. LMTP: a hop that takes the message for nobody would never answer it.
   */
  override _actionDATA(reply: string, callback: unknown): void {
    const mayGoOn = isIntermediate(this.said);
    const isForNobody = this.options.lmtp === true && mayGoOn && this._envelope?.accepted.length === 0;
    if (this.said.code < 300) this.endShifted(`DATA is answered without 354: ${reply}`);
    else {
      if (isForNobody) this.close();
      super._actionDATA(isForNobody ? '503 no recipients' : reply, callback);
    }
  }

  /**
   * Says QUIT, and waits for the end of the connection. Where replies have shifted, QUIT gets the reply to a command before it.
   * A few hosts say 250 to QUIT. It is the reply to QUIT if nothing comes behind it.
   */
  async quitInOrder(): Promise<void> {
    if (this.destroyed) return;
    const ended = new Promise<void>((resolve) => this.once('end', resolve));
    this.isProving = true;
    this.quit();
    const shifted = () => this.endShifted(`QUIT is answered as another command: ${this.said.text}`);
    const answered = () => {
      const { code } = this.said;
      if (code === 221) this.close();
      else if (code >= 300 && code !== 421) shifted();
    };
    this._responseActions.splice(-1, 1, answered, shifted);
    await ended;
  }
}
