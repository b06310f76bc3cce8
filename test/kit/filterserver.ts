/** A content filter for the tests that answers as it is told, also badly, and remembers what it was asked. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
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
  readonly port: number;
  manner: FilterManner = 'answer';
  answer = '{"action": "no action"}';
  readonly questions: Question[] = [];

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#take(request, response).catch(() => response.destroy());
    });
  }

  static async start(): Promise<FilterServer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new FilterServer(server, (server.address() as { port: number }).port);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
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
