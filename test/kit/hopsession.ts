/**
 * One session of a next hop that a test controls (hop.ts): what it offers, how it answers each step, and what it tells the
 * hop. Steps without an order of the test go as in any SMTP server.
 */
import type { Socket } from 'node:net';
import { type SecureContext, type SecureContextOptions, TLSSocket } from 'node:tls';
import type { Pair } from './ca.ts';

export type Step =
  | 'greeting'
  | 'EHLO'
  | 'LHLO'
  | 'HELO'
  | 'STARTTLS'
  | 'AUTH'
  | 'login'
  | 'MAIL'
  | 'RCPT'
  | 'DATA'
  | 'message'
  | 'RSET'
  | 'NOOP'
  | 'QUIT';

export interface Said {
  readonly step: Step;
  /** The line without CRLF; for a message its text. */
  readonly line: string;
  readonly secure: boolean;
  /** The number of the session, from 1. */
  readonly session: number;
  /** LMTP: the recipient that the reply to the message is for. */
  readonly recipient?: string;
}

/**
 * A reply, of several lines where it has line breaks; or what happens in its place. `break` goes ahead with STARTTLS
 * and spoils the handshake.
 */
export type Answer = string | { readonly raw: string } | 'hang' | 'drop' | 'break' | undefined;

export interface HopOptions {
  readonly port: number;
  readonly host?: string;
  readonly pair?: Pair | undefined;
  readonly implicitTls?: boolean;
  /** Speaks LMTP (RFC 2033) in place of SMTP. */
  readonly lmtp?: boolean;
  /** Versions and ciphers. Default: those of Node. */
  readonly tls?: Pick<SecureContextOptions, 'minVersion' | 'maxVersion' | 'ciphers'>;
  /** The authority of client certificates, if the hop requires one. */
  readonly clientAuthority?: string;
  /** Lines of the EHLO reply. STARTTLS is added if there is a pair. */
  readonly offers?: readonly string[];
  readonly answer?: (said: Said) => Answer | Promise<Answer>;
}

export interface Taken {
  readonly from: string;
  readonly to: readonly string[];
  readonly text: string;
  /** Protocol version; undefined in plain text. */
  readonly tls: string | undefined;
  /** Names of the client certificate and SNI. */
  readonly client: string | undefined;
  readonly servername: string | undefined;
  readonly session: number;
  /** The address that the connection came from. */
  readonly remote: string;
}

/** What the sessions of a hop tell it. */
interface Heard {
  readonly said: Said[];
  readonly taken: Taken[];
  readonly unfinished: Set<number>;
}

interface Reaction {
  readonly taken?: () => void;
  readonly recipient?: string | undefined;
}

export class HopSession {
  readonly #hop: Heard;
  readonly #options: HopOptions;
  readonly #context: SecureContext | undefined;
  readonly #number: number;
  #socket: Socket | TLSSocket | undefined;
  #heard = '';
  #work: Promise<void> = Promise.resolve();
  #expects: 'line' | 'message' | 'login' | 'nothing' = 'line';
  #from = '';
  #to: string[] = [];
  #refusesSender = false;

  constructor(hop: Heard, options: HopOptions, context: SecureContext | undefined, number: number) {
    this.#hop = hop;
    this.#options = options;
    this.#context = context;
    this.#number = number;
  }

  async begin(raw: Socket): Promise<void> {
    if (this.#options.implicitTls) this.#secure(raw);
    else this.#listen(raw);
    await this.#react('greeting', '', '220 hop.example ESMTP');
  }

  get #secured(): TLSSocket | undefined {
    return this.#socket instanceof TLSSocket ? this.#socket : undefined;
  }

  #listen(socket: Socket): void {
    this.#socket = socket;
    socket.on('data', (chunk) => {
      this.#heard += chunk.toString('latin1');
      this.#work = this.#work.then(() => this.#read());
    });
  }

  #secure(raw: Socket): void {
    raw.removeAllListeners('data');
    const socket = new TLSSocket(raw, {
      isServer: true,
      ...(this.#context ? { secureContext: this.#context } : {}),
      ...(this.#options.clientAuthority ? { requestCert: true, rejectUnauthorized: true } : {}),
    });
    socket.on('error', () => undefined);
    this.#heard = '';
    this.#listen(socket);
  }

  async #read(): Promise<void> {
    for (;;) {
      const end = this.#heard.indexOf(this.#expects === 'message' ? '\r\n.\r\n' : '\r\n');
      if (end === -1 || this.#expects === 'nothing') return;
      const text = this.#heard.slice(0, end);
      this.#heard = this.#heard.slice(end + (this.#expects === 'message' ? 5 : 2));
      if (this.#expects === 'message') await this.#take(`${text}\r\n`);
      else if (this.#expects === 'login') await this.#react('login', text, '235 welcome');
      else await this.#command(text);
    }
  }

  async #command(line: string): Promise<void> {
    const verb = line.split(/[ :]/, 1)[0]?.toUpperCase() ?? '';
    const argument = /<(.*)>/.exec(line)?.[1] ?? '';
    switch (verb) {
      case this.#options.lmtp ? 'LHLO' : 'EHLO':
        return this.#react(
          this.#options.lmtp ? 'LHLO' : 'EHLO',
          line,
          ['250 hop.example', ...this.#offers()].join('\n250 '),
        );
      case this.#options.lmtp ? 'no HELO' : 'HELO':
        return this.#react('HELO', line, '250 hop.example');
      case 'STARTTLS':
        return this.#react('STARTTLS', line, this.#context ? '220 go ahead' : '502 no');
      case 'AUTH':
        return this.#react('AUTH', line, '235 welcome');
      case 'MAIL':
        [this.#from, this.#to, this.#refusesSender] = [argument, [], false];
        return this.#react('MAIL', line, '250 sender fine');
      case 'RCPT':
        return this.#react('RCPT', line, this.#refusesSender ? '503 MAIL first' : '250 recipient fine', {
          taken: () => this.#to.push(argument),
        });
      case 'DATA':
        return this.#react('DATA', line, this.#to.length > 0 ? '354 send it' : '503 no recipients');
      case 'QUIT':
        this.#hop.unfinished.delete(this.#number);
        return this.#react('QUIT', line, '221 bye');
      case 'RSET':
        return this.#react('RSET', line, '250 forgotten');
      case 'NOOP':
        return this.#react('NOOP', line, '250 fine');
      default:
        this.#reply('500 what?');
    }
  }

  #offers(): string[] {
    const { offers = ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'DSN', 'SIZE 100000000'] } = this.#options;
    return this.#context && !this.#secured ? [...offers, 'STARTTLS'] : [...offers];
  }

  async #take(text: string): Promise<void> {
    this.#expects = 'line';
    const to = this.#to;
    this.#to = [];
    if (!this.#options.lmtp) return this.#answer(text, to);
    for (const recipient of to) {
      if (this.#hangs) return;
      await this.#answer(text, [recipient], recipient);
    }
  }

  get #hangs(): boolean {
    return this.#expects === 'nothing';
  }

  async #answer(text: string, to: readonly string[], recipient?: string): Promise<void> {
    const usual = '250 2.0.0 taken';
    const taken = () => {
      const socket = this.#secured;
      this.#hop.taken.push({
        from: this.#from,
        to,
        text: text.replace(/^\.\./gm, '.'),
        tls: socket?.getProtocol() ?? undefined,
        client: namedBy(socket),
        servername: (socket as { servername?: string } | undefined)?.servername || undefined,
        session: this.#number,
        remote: this.#socket?.remoteAddress ?? '',
      });
    };
    await this.#react('message', text, usual, { taken, recipient });
  }

  /** Calls `taken` if the answer is positive. */
  async #react(
    step: Step,
    line: string,
    usual: string,
    { taken = () => undefined, recipient }: Reaction = {},
  ): Promise<void> {
    const about = recipient === undefined ? {} : { recipient };
    const said = { step, line, secure: this.#secured !== undefined, session: this.#number, ...about };
    if (step !== 'greeting') this.#hop.said.push(said);
    const answer = (await this.#options.answer?.(said)) ?? usual;
    if (answer === 'hang') this.#expects = 'nothing';
    else if (answer === 'drop') this.#socket?.destroy();
    else if (answer === 'break') this.#break();
    else if (typeof answer === 'object') this.#raw(step, answer.raw);
    else this.#go(step, answer, taken);
  }

  #break(): void {
    this.#reply('220 go ahead');
    this.#socket?.removeAllListeners('data');
    this.#socket?.once('data', () => this.#socket?.end('this is no handshake'));
  }

  #raw(step: Step, bytes: string): void {
    this.#socket?.write(bytes, 'latin1');
    if (step === 'STARTTLS' && bytes.startsWith('220')) this.#secure(this.#socket as Socket);
  }

  #go(step: Step, answer: string, taken: () => void): void {
    if (this.#socket?.destroyed) return;
    if (answer.startsWith('2')) taken();
    this.#reply(answer);
    if (step === 'MAIL') this.#refusesSender = /^[45]/.test(answer);
    if (step === 'DATA' && answer.startsWith('354')) this.#expects = 'message';
    if (step === 'AUTH' || step === 'login') this.#expects = answer.startsWith('334') ? 'login' : 'line';
    if (step === 'STARTTLS' && answer.startsWith('220')) this.#secure(this.#socket as Socket);
    if (step === 'QUIT') this.#socket?.end();
  }

  /** Sends a reply. Every line except the last has a hyphen after its code. */
  #reply(answer: string): void {
    const lines = answer.split('\n');
    const whole = lines.map((line, index) =>
      index < lines.length - 1 ? line.replace(/^(\d{3}) /, '$1-') : line,
    );
    this.#socket?.write(`${whole.join('\r\n')}\r\n`);
  }
}

function namedBy(socket: TLSSocket | undefined): string | undefined {
  const { CN } = socket?.getPeerCertificate().subject ?? {};
  return CN === undefined ? undefined : String(CN);
}
