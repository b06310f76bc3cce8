/**
 * A next hop for the tests: it takes mail, remembers which id arrived, and can make faults on request. It listens on
 * one port of the loopback, so that it can stop and come back.
 */
import type { TLSSocket } from 'node:tls';
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server';
import type { Pair } from './ca.ts';

export interface Arrived {
  readonly id: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly text: string;
  /** Protocol version; undefined in plain text. */
  readonly tls: string | undefined;
}

export interface SinkOptions {
  readonly port: number;
  readonly host?: string;
  /** The key pair; without it the sink does not offer STARTTLS. */
  readonly pair?: Pick<Pair, 'cert' | 'key'>;
  /** If true, the sink offers STARTTLS and the handshake always fails. */
  readonly brokenHandshake?: boolean;
  /** The code of the answer to RCPT, by address. */
  readonly refuse?: (address: string) => number | undefined;
  /** The code of the answer to the end of a message, by id. */
  readonly refuseMessage?: (id: string) => number | undefined;
}

/** The library cannot read every quoted local part. */
const QUOTED = /^(?:MAIL FROM|RCPT TO):<("(?:[^"\\]|\\.)*"@[^>]*)>/i;

class Server extends SMTPServer {
  override connect(...args: Parameters<SMTPServer['connect']>): void {
    super.connect(...args);
    const connection = [...this.connections].at(-1);
    const parse = connection?._parseAddressCommand;
    if (!connection || !parse) return;
    connection._parseAddressCommand = (name, line) => {
      const [, address] = QUOTED.exec(line.toString()) ?? [];
      return address === undefined ? parse.call(connection, name, line) : { address, args: false };
    };
  }
}

export class Sink {
  readonly #options: SinkOptions;
  #server: SMTPServer | undefined;
  readonly arrived: Arrived[] = [];

  private constructor(options: SinkOptions) {
    this.#options = options;
  }

  static async start(options: SinkOptions): Promise<Sink> {
    const sink = new Sink(options);
    await sink.up();
    return sink;
  }

  get port(): number {
    return this.#options.port;
  }

  /** How often each id arrived. */
  counts(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { id } of this.arrived) counts.set(id, (counts.get(id) ?? 0) + 1);
    return counts;
  }

  async up(): Promise<void> {
    const { port, host = '127.0.0.1', pair, brokenHandshake, refuse } = this.#options;
    const server = new Server({
      authOptional: true,
      disableReverseLookup: true,
      logger: false,
      ...(pair ? { key: pair.key, cert: pair.cert } : { disabledCommands: ['STARTTLS'] }),
      // Only ciphers that no client has.
      ...(brokenHandshake ? { ciphers: 'PSK', maxVersion: 'TLSv1.2' as const } : {}),
      onRcptTo: (address, _session, callback) => {
        const code = refuse?.(address.address);
        callback(code ? Object.assign(new Error(`refused ${code}`), { responseCode: code }) : null);
      },
      onSecure: (socket, session, callback) => {
        Object.assign(session, { version: (socket as TLSSocket).getProtocol() });
        callback();
      },
      onData: (stream, session, callback) => this.#take(stream, session, callback),
    });
    server.on('error', () => undefined);
    await new Promise<void>((resolve, reject) => {
      server.server.once('error', reject);
      server.listen(port, host, () => resolve());
    });
    this.#server = server;
  }

  /** Goes away: open connections are cut. */
  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    for (const connection of server.connections) connection._socket.destroy();
    await new Promise<void>((resolve) => {
      server.server.close(() => resolve());
    });
  }

  #take(
    stream: SMTPServerDataStream,
    session: SMTPServerSession,
    callback: (error?: Error | null) => void,
  ): void {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      const text = Buffer.concat(chunks).toString('latin1');
      const { mailFrom, rcptTo } = session.envelope;
      const id = /^X-Test-Id: (.*)$/im.exec(text)?.[1]?.trim() ?? '';
      const code = this.#options.refuseMessage?.(id);
      if (code) return callback(Object.assign(new Error(`refused ${code}`), { responseCode: code }));
      this.arrived.push({
        id,
        from: mailFrom === false ? '' : mailFrom.address,
        to: rcptTo.map(({ address }) => address),
        text,
        tls: session.secure ? (session as { version?: string }).version : undefined,
      });
      callback();
    });
  }
}
