/**
 * A proxy between an operator and the API server. It forwards all calls, and applies faults of networks and servers to
 * chosen calls. It can make watches silent: their connections stay open and bring no more events.
 */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Agent, request as forward } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Plane } from './plane.ts';

export interface WireCall {
  readonly method: string;
  /** The path with its query. */
  readonly uri: string;
}

export type Fault =
  | { readonly kind: 'answer'; readonly status: number; readonly retryAfterSeconds?: number }
  /** The call never gets an answer. */
  | { readonly kind: 'silence' }
  | { readonly kind: 'reset' }
  /** The server does the call, and the answer is lost. */
  | { readonly kind: 'lostAnswer' }
  /** The call is forwarded when the promise resolves. */
  | { readonly kind: 'held'; readonly until: Promise<void> };

export interface WireHooks {
  readonly faultOf?: (call: WireCall) => Fault | undefined;
  /** Is called when the server has answered, before the operator gets the answer. */
  readonly onAnswered?: (call: WireCall) => void;
}

export class Wire {
  readonly #plane: Plane;
  readonly #hooks: WireHooks;
  readonly #agent: Agent;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((request, response) => {
    this.#serve(request, response).catch(() => response.destroy());
  });
  /** The watches that were begun, each with its path. Those that are silent bring no more events. */
  readonly #watches: { readonly uri: string; silent: boolean }[] = [];
  #blackHole = false;

  constructor(plane: Plane, hooks: WireHooks = {}) {
    this.#plane = plane;
    this.#hooks = hooks;
    this.#agent = new Agent({ keepAlive: true, ca: readFileSync(plane.authority) });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#agent.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Makes every open watch silent whose path has this part: it stays open and brings no more events. */
  silenceWatches(part = ''): void {
    for (const watch of this.#watches) watch.silent ||= watch.uri.includes(part);
  }

  /** Drops all data without closing the connections. Connections that were open stay dead afterwards. */
  swallow(everything: boolean): void {
    this.#blackHole = everything;
    this.silenceWatches();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = { method: request.method ?? '', uri: request.url ?? '' };
    const body = await bodyOf(request);
    if (this.#blackHole) return;
    const fault = this.#hooks.faultOf?.(call);
    switch (fault?.kind) {
      case 'answer':
        answer(response, fault);
        return;
      case 'silence':
        return;
      case 'reset':
        request.socket.resetAndDestroy();
        return;
      case 'held':
        await fault.until;
        break;
    }
    const upstream = await this.#forward(request, body, response);
    this.#hooks.onAnswered?.(call);
    if (fault?.kind === 'lostAnswer') {
      upstream.resume();
      request.socket.resetAndDestroy();
      return;
    }
    response.writeHead(upstream.statusCode ?? 502, upstream.headers);
    response.flushHeaders();
    if (call.uri.includes('watch=true')) await pipeline(upstream, this.#muffler(call), response);
    else await pipeline(upstream, response);
  }

  /** Forwards a watch until it is silenced. */
  #muffler({ uri }: WireCall): Transform {
    const watch = { uri, silent: false };
    this.#watches.push(watch);
    return new Transform({
      transform: (chunk, _encoding, done) => done(null, watch.silent ? undefined : chunk),
      // A silent watch does not even report its end.
      flush: (done) => {
        if (!watch.silent) done();
      },
    });
  }

  #forward(request: IncomingMessage, body: Buffer, response: ServerResponse): Promise<IncomingMessage> {
    const { method, headers } = request;
    const target = new URL(request.url ?? '', this.#plane.server);
    return new Promise((resolve, reject) => {
      const sent = forward(
        target,
        { method, agent: this.#agent, headers: { ...headers, host: target.host } },
        resolve,
      );
      sent.once('error', reject);
      response.once('close', () => sent.destroy());
      sent.end(body);
    });
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function answer(
  response: ServerResponse,
  { status, retryAfterSeconds }: { status: number; retryAfterSeconds?: number },
): void {
  const message = `injected ${status}`;
  response
    .writeHead(status, {
      'content-type': 'application/json',
      ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
    })
    .end(JSON.stringify({ kind: 'Status', status: 'Failure', message, code: status }));
}
