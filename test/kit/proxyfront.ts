/**
 * Stands before a server that knows no PROXY protocol. It keeps the header that each connection begins with, and passes
 * all other bytes on.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { readProxyHeader } from '#relay/supervisor/proxyheader.ts';

export interface ProxyFrontOptions {
  readonly host?: string;
  readonly port: number;
  /** The port of the server behind it, on 127.0.0.1. */
  readonly to: number;
}

export interface Fronted {
  readonly header: Buffer;
  /** The address and port that the connection came from. */
  readonly address: string;
  readonly port: number;
}

export class ProxyFront {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** The connections that began with a header, in order. */
  readonly connections: Fronted[] = [];

  private constructor(to: number) {
    this.#server = createServer((socket) => this.#receive(socket, to));
  }

  static async start({ host = '127.0.0.1', port, to }: ProxyFrontOptions): Promise<ProxyFront> {
    const front = new ProxyFront(to);
    front.#server.listen(port, host);
    await once(front.#server, 'listening');
    return front;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #receive(socket: Socket, to: number): void {
    this.#keep(socket);
    const { remoteAddress: address = '', remotePort: port = 0 } = socket;
    let bytes = Buffer.alloc(0);
    const read = (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      const found = readProxyHeader(bytes);
      if (found.kind === 'invalid') socket.destroy();
      if (found.kind !== 'header') return;
      socket.off('data', read);
      this.connections.push({ header: bytes.subarray(0, found.length), address, port });
      this.#passOn(socket, bytes.subarray(found.length), to);
    };
    socket.on('data', read);
  }

  #passOn(socket: Socket, early: Buffer, to: number): void {
    const server = this.#keep(connect(to, '127.0.0.1'));
    server.write(early);
    socket.pipe(server).pipe(socket);
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    // Either side may reset at any time.
    socket.on('error', () => undefined);
    socket.once('close', () => this.#sockets.delete(socket));
    return socket;
  }
}
