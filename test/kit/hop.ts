/**
 * A next hop that a test controls step by step: it can give any answer, hang, drop the connection, or send garbage. It
 * remembers every line and every message that it received. hopsession.ts speaks to the clients.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import { type HopOptions, HopSession, type Said, type Step, type Taken } from './hopsession.ts';

export type { Answer, HopOptions, Said, Step, Taken } from './hopsession.ts';

export class Hop {
  readonly #options: HopOptions;
  readonly #context: SecureContext | undefined;
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  readonly said: Said[] = [];
  readonly taken: Taken[] = [];
  sessions = 0;
  /** The largest number of sessions at the same time. */
  most = 0;
  /** The numbers of the sessions that have not said QUIT, and the largest number of them at the same time. */
  readonly unfinished = new Set<number>();
  mostUnfinished = 0;

  private constructor(options: HopOptions) {
    this.#options = options;
    const { pair, clientAuthority, tls } = options;
    this.#context =
      pair && createSecureContext({ ...pair, ...tls, ...(clientAuthority ? { ca: clientAuthority } : {}) });
  }

  static async start(options: HopOptions): Promise<Hop> {
    const hop = new Hop(options);
    await hop.up();
    return hop;
  }

  /** The lines of one step, in order. */
  lines(step: Step): string[] {
    return this.said.filter((said) => said.step === step).map(({ line }) => line);
  }

  /** Ids (see messageText) of the messages that the hop took. */
  ids(): string[] {
    return this.taken.map(({ text }) => /^X-Test-Id: (.*)$/m.exec(text)?.[1]?.trim() ?? '');
  }

  async up(): Promise<void> {
    const { port, host = '127.0.0.1' } = this.#options;
    const server = createServer({ noDelay: true }, (socket) => this.#receive(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
    this.#server = server;
  }

  /** Goes away: open connections are cut. */
  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    this.cut();
    await new Promise((resolve) => server.close(resolve));
  }

  /** Ends all open connections, whatever their state is. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #receive(socket: Socket): void {
    this.#sockets.add(socket);
    this.most = Math.max(this.most, this.#sockets.size);
    // A client may reset at any time.
    socket.on('error', () => undefined);
    this.sessions += 1;
    const number = this.sessions;
    this.unfinished.add(number);
    this.mostUnfinished = Math.max(this.mostUnfinished, this.unfinished.size);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.unfinished.delete(number);
    });
    const session = new HopSession(this, this.#options, this.#context, this.sessions);
    void session.begin(socket);
  }
}
