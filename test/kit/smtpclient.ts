/**
 * An SMTP client that does only what the test orders: writes bytes, reads replies, upgrades to TLS, resets. It is for
 * tests that look at single replies. It sends and retries nothing by itself.
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Pair } from './ca.ts';
import { until } from './wait.ts';

const REPLY_MS = 60_000;

export interface TlsWish {
  /** The trusted authority as PEM; without it the certificate is not verified. */
  readonly ca?: string;
  readonly servername?: string;
  readonly maxVersion?: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2';
  /** The pair for a server that asks for a client certificate. */
  readonly pair?: Pick<Pair, 'cert' | 'key'>;
  /** The TLS session to resume. */
  readonly session?: Buffer;
}

export class SmtpClient {
  #socket: Socket;
  #buffer = '';
  #ended = false;
  #session: Buffer | undefined;
  #wake: () => void = () => undefined;
  readonly #raw: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#raw = socket;
    this.#listen(socket);
  }

  static async connect(port: number, host = '127.0.0.1', localAddress?: string): Promise<SmtpClient> {
    const socket = connect({ port, host, noDelay: true, ...(localAddress ? { localAddress } : {}) });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new SmtpClient(socket);
  }

  /** Connects and speaks TLS from the first byte. */
  static async connectTls(port: number, wish: TlsWish, host = '127.0.0.1'): Promise<SmtpClient> {
    const client = await SmtpClient.connect(port, host);
    await client.startTls(wish);
    return client;
  }

  get tls(): TLSSocket | undefined {
    return this.#socket === this.#raw ? undefined : (this.#socket as TLSSocket);
  }

  get ended(): boolean {
    return this.#ended;
  }

  async closed(): Promise<void> {
    await until('the end of the connection', () => this.#ended);
  }

  write(text: string | Buffer): void {
    this.#socket.write(text);
  }

  /** Bytes that are no TLS record, in the middle of a TLS session. */
  writeBelowTls(bytes: Buffer): void {
    this.#raw.write(bytes);
  }

  /** The next complete reply, its lines joined by newlines. Rejects if the connection ends before. */
  async reply(): Promise<string> {
    const deadline = performance.now() + REPLY_MS;
    for (;;) {
      const match = /^(?:\d{3}-[^\n]*\r?\n)*\d{3}(?: [^\n]*)?\r?\n/.exec(this.#buffer);
      if (match) {
        this.#buffer = this.#buffer.slice(match[0].length);
        return match[0].trimEnd().replaceAll('\r', '');
      }
      if (this.#ended) throw new Error(`The connection ended, last heard: "${this.#buffer}"`);
      const rest = deadline - performance.now();
      if (rest <= 0) throw new Error(`No reply in ${REPLY_MS} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, rest);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** The data to resume the TLS session with. */
  session(): Promise<Buffer> {
    return until('a session ticket', () => this.#session);
  }

  /** Received bytes that no call of `reply` has read. */
  get unread(): string {
    return this.#buffer;
  }

  async command(line: string): Promise<string> {
    this.write(`${line}\r\n`);
    return this.reply();
  }

  /** Sends the lines one after the other; the code of each reply. */
  async codes(...lines: string[]): Promise<number[]> {
    const codes: number[] = [];
    for (const line of lines) codes.push(Number((await this.command(line)).slice(0, 3)));
    return codes;
  }

  /** Reads the greeting and sends EHLO; the lines of the EHLO reply. */
  async hello(): Promise<string> {
    await this.reply();
    return this.command('EHLO client.example');
  }

  /** Sends STARTTLS, does the handshake and sends EHLO again. */
  async secure(wish: TlsWish = {}): Promise<string> {
    const reply = await this.command('STARTTLS');
    if (!reply.startsWith('220')) throw new Error(`STARTTLS was answered "${reply}"`);
    await this.startTls(wish);
    return this.command('EHLO client.example');
  }

  async startTls({ ca, servername, maxVersion, pair, session }: TlsWish): Promise<void> {
    this.#raw.removeAllListeners('data');
    this.#buffer = '';
    const secure = connectTls({
      socket: this.#raw,
      ...(servername ? { servername } : {}),
      ...(ca ? { ca } : { rejectUnauthorized: false }),
      // OpenSSL allows versions below 1.2 only at security level 0.
      ...(maxVersion ? { maxVersion, minVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0' } : {}),
      ...(pair ? { cert: pair.cert, key: pair.key } : {}),
      ...(session ? { session } : {}),
    });
    await new Promise<void>((resolve, reject) => {
      secure.once('secureConnect', resolve);
      secure.once('error', reject);
      secure.once('close', () => reject(new Error('The handshake was cut')));
    });
    this.#socket = secure;
    secure.on('session', (ticket) => {
      this.#session = ticket;
    });
    this.#listen(secure);
  }

  /** Sends one message in an open session; the reply to its end. Throws the reply if a command is refused. */
  async send(from: string, to: readonly string[], body: string): Promise<string> {
    const steps = [`MAIL FROM:<${from}>`, ...to.map((address) => `RCPT TO:<${address}>`), 'DATA'];
    for (const step of steps) {
      const reply = await this.command(step);
      if (!/^[23]/.test(reply)) throw new Error(`${step} was answered "${reply}"`);
    }
    return this.command(`${body.replace(/^\./gm, '..')}\r\n.`);
  }

  /** Sends this text, then ends the sending side. The client still reads replies. */
  finish(text = ''): void {
    this.#socket.end(text);
  }

  async quit(): Promise<void> {
    await this.command('QUIT').catch(() => '');
    this.#socket.destroy();
  }

  reset(): void {
    this.#raw.resetAndDestroy();
  }

  close(): void {
    this.#socket.destroy();
    this.#raw.destroy();
  }

  #listen(socket: Socket): void {
    socket.on('data', (chunk) => {
      this.#buffer += chunk.toString('latin1');
      this.#wake();
    });
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    socket.on('end', end);
    socket.on('close', end);
    socket.on('error', end);
  }
}

/** A complete small message with an id that a sink can find. */
export function messageText(id: string, bytes = 200): string {
  const head = `From: <a@client.example>\r\nTo: <b@example.com>\r\nSubject: test\r\nX-Test-Id: ${id}\r\n\r\n`;
  const line = `${'x'.repeat(70)}\r\n`;
  return `${head}${line.repeat(Math.ceil(bytes / line.length))}end`;
}
