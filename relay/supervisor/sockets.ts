/**
 * The listening sockets, one per port. They belong to the supervisor and outlive every task, so a change of policy
 * refuses or resets no connection. A socket is closed only when its listener is removed from the policy. Accepted
 * sockets are paused, and nothing is read here. A port that cannot be opened is a value.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { servedPort } from '#crds/wellknown.ts';
import { bind } from '../task/bind.ts';

const BACKLOG = 1_024;

/** The port as in the manifest. */
export interface Port {
  readonly name: string;
  readonly port: number;
}

export type Bound = { kind: 'bound' } | { kind: 'failed'; message: string };

export class ListeningSockets {
  readonly #address: string;
  readonly #onConnection: (socket: Socket, port: number) => void;
  readonly #servers = new Map<number, Server>();

  constructor(address: string, onConnection: (socket: Socket, port: number) => void) {
    this.#address = address;
    this.#onConnection = onConnection;
  }

  /** Opens those that are not open yet. On failure closes the ports that this call opened. */
  async open(ports: readonly Port[]): Promise<Bound> {
    const opened: number[] = [];
    for (const { name, port } of ports) {
      if (this.#servers.has(port)) continue;
      const result = await this.#bind(name, port);
      if (result.kind === 'failed') {
        for (const other of opened) this.#close(other);
        return result;
      }
      opened.push(port);
    }
    return { kind: 'bound' };
  }

  /** Closes all others. */
  keepOnly(ports: readonly Port[]): void {
    const kept = new Set(ports.map(({ port }) => port));
    for (const port of [...this.#servers.keys()]) if (!kept.has(port)) this.#close(port);
  }

  addressOf(port: number): { address: string; port: number } | undefined {
    const address = this.#servers.get(port)?.address() as AddressInfo | null | undefined;
    return address ? { address: address.address, port: address.port } : undefined;
  }

  async #bind(name: string, port: number): Promise<Bound> {
    const served = servedPort(port);
    const server = createServer({ pauseOnConnect: true, noDelay: true, keepAlive: true }, (socket) =>
      this.#onConnection(socket, port),
    );
    try {
      await bind(server, served, this.#address, BACKLOG);
    } catch (error) {
      return { kind: 'failed', message: bindFailure(name, this.#address, served, error) };
    }
    // For example, no free descriptor: accepted connections go on, and new ones wait in the backlog.
    server.on('error', () => undefined);
    this.#servers.set(port, server);
    return { kind: 'bound' };
  }

  #close(port: number): void {
    // Not awaited, because the accepted connections continue in their tasks.
    this.#servers.get(port)?.close();
    this.#servers.delete(port);
  }
}

function bindFailure(name: string, address: string, port: number, error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  const where = `listener "${name}" at ${address} port ${port}`;
  if (code === 'EADDRINUSE')
    return `Cannot serve ${where}: the port is in use; stop what uses it or change the port`;
  return `Cannot serve ${where}: ${(error as Error).message}`;
}
