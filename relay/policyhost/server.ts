/**
 * The policy host of MTA-STS (RFC 8461 section 3.3): it answers GET and HEAD for one path over HTTPS. Anybody may ask, so
 * a connection has a short life and serves one request, the number of connections has a bound, and nothing of a request
 * is kept or logged. A request that is not for one of our names gets 404.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ServedPolicy } from '../task/messages.ts';
import { Strangers } from '../task/strangers.ts';

const PATH = '/.well-known/mta-sts.txt';
const OLDEST_TLS = 'TLSv1.2';
const HEADER_BYTES = 8 * 1024;
/** From the first byte of the handshake to the last byte of the answer. */
const LIFETIME_MS = 10_000;

type Result = 'served' | 'not_found' | 'not_allowed' | 'broken';

export class PolicyServer {
  readonly #server: Server;
  readonly #strangers = new Strangers();
  readonly #count: (result: Result) => void;
  readonly #lifetimeMs: number;
  #served: ServedPolicy;

  constructor(served: ServedPolicy, count: (result: Result) => void, lifetimeMs = LIFETIME_MS) {
    this.#served = served;
    this.#count = count;
    this.#lifetimeMs = lifetimeMs;
    this.#server = createServer(
      { ...served.pair, minVersion: OLDEST_TLS, maxHeaderSize: HEADER_BYTES },
      (request, response) => this.#answer(request, response),
    );
    const cut = (_error: Error, socket: { destroy(): unknown }) => {
      count('broken');
      socket.destroy();
    };
    this.#server.on('tlsClientError', cut);
    this.#server.on('clientError', cut);
  }

  /** For the next handshakes and requests. */
  use(served: ServedPolicy): void {
    this.#served = served;
    this.#server.setSecureContext({ ...served.pair, minVersion: OLDEST_TLS });
  }

  /** Takes an accepted socket before anything was read. */
  receive(raw: Socket): void {
    const isOut = this.#strangers.add(raw.remoteAddress ?? '', () => raw.destroy());
    const timer = setTimeout(() => raw.destroy(), this.#lifetimeMs);
    raw.on('error', () => raw.destroy());
    raw.once('close', () => {
      clearTimeout(timer);
      isOut();
    });
    this.#server.emit('connection', raw);
  }

  get connections(): number {
    return this.#strangers.size;
  }

  end(): void {
    this.#strangers.endAll();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { result, code, headers, text } = decideAnswer(request, this.#served);
    this.#count(result);
    response.writeHead(code, {
      'content-type': 'text/plain',
      'content-length': Buffer.byteLength(text),
      connection: 'close',
      ...headers,
    });
    response.end(request.method === 'HEAD' ? undefined : text);
  }
}

interface Answer {
  readonly result: Result;
  readonly code: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly text: string;
}

function decideAnswer(request: IncomingMessage, { hosts, text }: ServedPolicy): Answer {
  const { method, url, headers, socket } = request;
  const { servername } = socket as TLSSocket & { servername?: string | false };
  const host = headers.host?.toLowerCase().replace(/:\d{1,5}$/, '');
  const isOurs = host !== undefined && hosts.includes(host);
  const isAsked = !servername || hosts.includes(servername.toLowerCase());
  if (!isOurs || !isAsked || url !== PATH) return { result: 'not_found', code: 404, text: 'not found\n' };
  if (method === 'GET' || method === 'HEAD') return { result: 'served', code: 200, text };
  const allow = 'GET, HEAD';
  return { result: 'not_allowed', code: 405, headers: { allow }, text: `only ${allow}\n` };
}
