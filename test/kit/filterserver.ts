/** A content filter for the tests that answers as it is told, also badly, and remembers what it was asked. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { buffer } from 'node:stream/consumers';
import type { Pair } from './ca.ts';
import { pour } from './webhook.ts';

export type FilterManner =
  | 'answer'
  | 'hang'
  /** An answer of which a byte comes now and then. */
  | 'drip'
  /** An answer without an end. */
  | 'flood'
  /** An answer that is cut off. */
  | 'cut'
  | 'reset'
  | 'error'
  | 'redirect';

interface Question {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

const DRIP_MS = 100;

export class FilterServer {
  readonly #server: Server;
  readonly url: string;
  manner: FilterManner = 'answer';
  answer = '{"action": "no action"}';
  readonly questions: Question[] = [];

  private constructor(server: Server, url: string) {
    this.#server = server;
    this.url = url;
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#take(request, response).catch(() => response.destroy());
    });
  }

  /** `pair`: it speaks HTTPS, as localhost. */
  static async start(pair?: Pick<Pair, 'cert' | 'key'>): Promise<FilterServer> {
    const server = pair ? createSecureServer(pair) : createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    return new FilterServer(server, pair ? `https://localhost:${port}` : `http://127.0.0.1:${port}`);
  }

  cut(): void {
    this.#server.closeAllConnections();
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url: path = '', headers } = request;
    const body = (await buffer(request)).toString('latin1');
    this.questions.push({ path, headers, body });
    this.#reply(response);
  }

  #reply(response: ServerResponse): void {
    switch (this.manner) {
      case 'answer':
        response.end(this.answer);
        return;
      case 'drip':
        drip(response);
        return;
      case 'flood':
        pour(response);
        return;
      case 'cut':
        response.writeHead(200, { 'content-length': 1_000 });
        response.write(this.answer, () => response.destroy());
        return;
      case 'reset':
        response.destroy();
        return;
      case 'error':
        response.writeHead(500).end(this.answer);
        return;
      case 'redirect':
        response.writeHead(307, { location: '/elsewhere' }).end();
        return;
    }
  }
}

function drip(response: ServerResponse): void {
  response.writeHead(200);
  const dripping = setInterval(() => response.write(' '), DRIP_MS);
  response.on('close', () => clearInterval(dripping));
}
