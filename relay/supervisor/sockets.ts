/**
 * The listening sockets, one per port. They belong to the supervisor and outlive every task, so that no policy change
 * refuses or resets a connection; only a listener that leaves the policy closes its own. Accepted sockets come out
 * paused: nothing is read here. A port that cannot be had is told as a value.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Listener } from '#crds/policyfile.ts';
import { servedPort } from '#crds/wellknown.ts';
import { bind } from '../task/bind.ts';

const BACKLOG = 1_024;

export type Bound = { kind: 'bound' } | { kind: 'failed'; message: string };

export class ListeningSockets {
  readonly #address: string;
  readonly #onConnection: (socket: Socket, port: number) => void;
  readonly #servers = new Map<number, Server>();

  constructor(address: string, onConnection: (socket: Socket, port: number) => void) {
    this.#address = address;
    this.#onConnection = onConnection;
  }

  /** Opens what `listeners` have and is not open yet; on failure what this call opened is closed again. */
  async open(listeners: readonly Listener[]): Promise<Bound> {
    const opened: number[] = [];
    for (const { name, port } of listeners) {
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

  /** Closes what `listeners` do not have. */
  keepOnly(listeners: readonly Listener[]): void {
    const kept = new Set(listeners.map(({ port }) => port));
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
    // Out of descriptors, say: what was accepted goes on, and the backlog waits.
    server.on('error', () => undefined);
    this.#servers.set(port, server);
    return { kind: 'bound' };
  }

  #close(port: number): void {
    // Not waited for: the connections that came through it live on in their tasks.
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
