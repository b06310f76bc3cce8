/**
 * The listening sockets. They belong to the supervisor and stay open while the relay lives, whatever its tasks do, so
 * that no connection is refused or reset by a restart of a task. Accepted sockets are handed over paused; while no task
 * is ready they wait, a bounded number of them.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Listener } from '#crds/policyfile.ts';
import { servedPort } from '#crds/wellknown.ts';

const BACKLOG = 511;

export type Accept = (listener: string, socket: Socket) => void;

interface Open {
  name: string;
  readonly server: Server;
}

export class Sockets {
  readonly #address: string;
  readonly #accept: Accept;
  readonly #open = new Map<number, Open>();

  constructor(address: string, accept: Accept) {
    this.#address = address;
    this.#accept = accept;
  }

  /** Opens the ports that are not open yet. On failure those opened by this call are closed again. */
  async open(listeners: readonly Listener[]): Promise<void> {
    const opened: number[] = [];
    try {
      for (const listener of listeners) {
        const port = servedPort(listener.port);
        if (this.#open.has(port)) continue;
        this.#open.set(port, await this.#listen(listener, port));
        opened.push(port);
      }
    } catch (error) {
      for (const port of opened) this.#close(port);
      throw error;
    }
  }

  /** Names the ports by these listeners, and closes the ports of no listener. */
  keep(listeners: readonly Listener[]): void {
    const names = new Map(listeners.map(({ name, port }) => [servedPort(port), name]));
    for (const [port, open] of this.#open) {
      const name = names.get(port);
      if (name === undefined) this.#close(port);
      else open.name = name;
    }
  }

  closeAll(): void {
    for (const port of [...this.#open.keys()]) this.#close(port);
  }

  #listen({ name, port }: Listener, served: number): Promise<Open> {
    return new Promise((resolve, reject) => {
      const server = createServer({ pauseOnConnect: true });
      const open: Open = { name, server };
      server.on('connection', (socket) => {
        // Between here and the task nobody else would hear a reset.
        socket.on('error', () => socket.destroy());
        this.#accept(open.name, socket);
      });
      server.once('error', (error: NodeJS.ErrnoException) => {
        reject(new Error(listenProblem(this.#address, name, port, served, error)));
      });
      server.listen({ host: this.#address, port: served, backlog: BACKLOG }, () => resolve(open));
    });
  }

  #close(port: number): void {
    this.#open.get(port)?.server.close();
    this.#open.delete(port);
  }
}

function listenProblem(
  address: string,
  name: string,
  port: number,
  served: number,
  error: NodeJS.ErrnoException,
) {
  const where = `${address}:${served} for listener "${name}" (port ${port})`;
  if (error.code === 'EADDRINUSE') {
    return `Cannot listen on ${where}: the port is in use; stop the other program, or choose another port`;
  }
  return `Cannot listen on ${where}: ${error.code ?? error.message}`;
}
