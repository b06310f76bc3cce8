/** A receiver of events for the tests: HTTPS, checks each signature, remembers what came, and fails on request. */
import { createHmac } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pair } from './ca.ts';

interface ToldEvent {
  readonly id: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** How it answers a request that is signed well. */
export type Manner =
  | 'take'
  | 'hang'
  | 'redirect'
  | 'refuse'
  /** An answer without an end. */
  | 'flood'
  /** Takes the events after a second. */
  | 'late'
  /** This status. */
  | number;

export class Webhook {
  readonly #server: Server;
  readonly #secret: string;
  readonly port: number;
  manner: Manner = 'take';
  /** Requests, whatever their answer. */
  requests = 0;
  /** Requests whose signature was wrong. */
  unsigned = 0;
  readonly events: ToldEvent[] = [];

  private constructor(server: Server, secret: string, port: number) {
    this.#server = server;
    this.#secret = secret;
    this.port = port;
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  static async start(pair: Pick<Pair, 'cert' | 'key'>, secret: string): Promise<Webhook> {
    const server = createServer({ cert: pair.cert, key: pair.key });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    return new Webhook(server, secret, port);
  }

  /** The distinct events of this type. */
  list(type: string): ToldEvent[] {
    const byId = new Map(this.events.filter((one) => one.type === type).map((one) => [one.id, one]));
    return [...byId.values()];
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request);
    this.requests += 1;
    if (!this.#isSigned(request, body)) {
      this.unsigned += 1;
      response.writeHead(401).end();
      return;
    }
    if (this.manner === 'hang') return;
    if (this.manner === 'redirect') {
      response.writeHead(302, { location: `https://localhost:${this.port}/elsewhere` }).end();
      return;
    }
    if (this.manner === 'refuse') {
      response.writeHead(500).end();
      return;
    }
    if (typeof this.manner === 'number') {
      response.writeHead(this.manner).end();
      return;
    }
    if (this.manner === 'late') await sleep(1_000);
    this.events.push(...(JSON.parse(body.toString()).data.events as ToldEvent[]));
    response.writeHead(200);
    if (this.manner === 'flood') pour(response);
    else response.end();
  }

  #isSigned({ headers }: IncomingMessage, body: Buffer): boolean {
    const key = Buffer.from(this.#secret.slice('whsec_'.length), 'base64');
    const hmac = createHmac('sha256', key);
    hmac.update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.`).update(body);
    return String(headers['webhook-signature'])
      .split(' ')
      .includes(`v1,${hmac.digest('base64')}`);
  }
}

/** Writes for as long as somebody reads. */
export function pour(response: ServerResponse): void {
  const piece = Buffer.alloc(64 * 1024, 'x');
  const more = () => {
    while (!response.destroyed && response.write(piece));
  };
  response.on('drain', more);
  more();
}
