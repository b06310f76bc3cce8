/**
 * Holds accepted sockets until a listener process gets them. Behind a proxy a socket waits, paused, for the PROXY
 * header. A socket also waits while no process is ready. The policy that lets it in says whether a header comes first. A
 * connection that is ended here counts as a refusal.
 */
import type { Socket } from 'node:net';
import type { Log } from '../observe/log.ts';
import type { ServedPort } from './generation.ts';
import { clientAddress, clientBehind } from './proxy.ts';
import { MessageRate } from './rate.ts';

/** How many connections may wait while no process is ready. */
const MOST_WAITING = 1_024;

export interface Accepted {
  readonly socket: Socket;
  readonly port: number;
  /** The client address. Behind a proxy, the PROXY header names it. */
  readonly client: string;
  /** Bytes after the PROXY header. */
  readonly early?: Buffer;
}

interface Waiting {
  readonly socket: Socket;
  readonly tryAgain: () => void;
}

export interface ReceptionDeps {
  readonly clock: () => number;
  readonly log: Log;
  /** Settings by port. Undefined before the first policy is in force. */
  readonly ports: () => ReadonlyMap<number, ServedPort> | undefined;
  /** Passes the connection on or ends it. False if it has to wait. */
  readonly admit: (accepted: Accepted) => boolean;
  readonly countRefusal: (reason: string) => void;
}

export class Reception {
  readonly #deps: ReceptionDeps;
  readonly #told = new MessageRate();
  readonly #waiting: Waiting[] = [];
  #isEnded = false;

  constructor(deps: ReceptionDeps) {
    this.#deps = deps;
  }

  accept(socket: Socket, port: number): void {
    // A reset while the supervisor holds the socket must not end the relay.
    socket.on('error', () => socket.destroy());
    this.#begin(socket, port);
  }

  /** A process is ready, so waiting connections are passed on. */
  admitWaiting(): void {
    for (const { tryAgain } of this.#waiting.splice(0)) tryAgain();
  }

  /** No connection waits any more, also none whose PROXY header is still to come: it would keep this process from its end. */
  endWaiting(): void {
    this.#isEnded = true;
    for (const { socket } of this.#waiting.splice(0)) socket.destroy();
  }

  #begin(socket: Socket, port: number): void {
    const address = clientAddress(socket);
    const ports = this.#deps.ports();
    const servedPort = ports?.get(port);
    if (address === '' || (ports && !servedPort)) socket.destroy();
    else if (servedPort?.isProxy(address)) this.#acceptBehind(socket, port, address);
    else this.#admit({ socket, port, client: address }, () => this.#begin(socket, port));
  }

  /** The PROXY header names the client. */
  async #acceptBehind(socket: Socket, port: number, proxy: string): Promise<void> {
    const { clock, log, countRefusal } = this.#deps;
    const behind = await clientBehind(socket);
    if (behind.kind === 'client') {
      const { address, early } = behind;
      this.#admit({ socket, port, client: address ?? proxy, ...(early ? { early } : {}) });
      return;
    }
    socket.destroy();
    countRefusal('proxy_header');
    // The health checks of a load balancer would fill the log.
    if (this.#told.count(proxy, clock()) > 1) return;
    const { reason, cure } = behind;
    log('proxy_header_missing', { proxy, port, reason, cure });
  }

  #admit(accepted: Accepted, tryAgain = () => this.#admit(accepted)): void {
    if (this.#deps.admit(accepted)) return;
    const { socket } = accepted;
    if (this.#waiting.length < MOST_WAITING && !this.#isEnded) {
      this.#waiting.push({ socket, tryAgain });
      return;
    }
    socket.destroy();
    this.#deps.countRefusal('not_ready');
  }
}
