/**
 * The client of the API server: the KubeConfig of client-node gives address, TLS and tokens (it reads rotated ones
 * again), and one function sends requests. Every failure is a KubeError. The client reports once that the server is
 * away and once that it is back, even if many requests fail meanwhile. The time is that of the server.
 */
import { type Dispatcher, request as send } from 'undici';
import { readText } from './body.ts';
import { HttpMethod, type KubeConfig, RequestContext } from './clientnode.ts';
import { KubeError, kindOfStatus } from './errors.ts';
import { ServerClock } from './serverclock.ts';

/** The longest wait for an answer; for a stream, the longest wait for its begin. */
const REQUEST_MS = 15_000;
/** Every request has a signal that ends it. The timers of the library would tick twice a second during a watch. */
const NO_TIMERS = { headersTimeout: 0, bodyTimeout: 0 };
const ANSWER_BYTES = 32 * 1024 * 1024;
/** The longest pause that a server may ask for. A watch or a relay that waits longer is as good as given up. */
const RETRY_AFTER_SECONDS = 60;
const LATE = 'no answer in time, though the API server answers other requests';
const ACCESS_MS = 30_000;
const POOL_MS = 10 * 60_000;

interface Access {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly pooledAt: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly dispatcher: Dispatcher | undefined;
}

/** An object of which the metadata is known, and of its content perhaps nothing (see partial.ts). */
export interface KeptObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly generation?: number;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly {
      readonly kind?: string;
      readonly name?: string;
      readonly uid: string;
      readonly controller?: boolean;
    }[];
    readonly deletionTimestamp?: string;
    readonly creationTimestamp?: string;
  };
}

export interface KubeObject extends KeptObject {
  readonly [field: string]: unknown;
}

export interface Request {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly contentType?: string;
  readonly body?: unknown;
  /** Default: 15 seconds. */
  readonly timeoutMs?: number;
  /** A longer answer is a failure. Default: 32 MiB, more than a page of the largest objects. */
  readonly mostBytes?: number;
  /** The caller does well without the answer. A failure then does not count as an absence of the server. */
  readonly isDispensable?: boolean;
  /** An admission webhook may hold it up. Where it is late and others are answered, it has failed alone, and the server is not away. */
  readonly failsAlone?: boolean;
}

export type ConnectionNews = (
  news:
    | { kind: 'away'; message: string }
    /** `unanswered`: at least one request got no answer at all, so the server may have forgotten our connections. */
    | { kind: 'back'; afterMs: number; unanswered: boolean },
) => void;

export class Client {
  readonly #config: KubeConfig;
  readonly #news: ConnectionNews;
  /** The time since which the server is away, in milliseconds of a monotonic clock. */
  #away: { readonly since: number; unanswered: boolean } | undefined;
  readonly #clock = new ServerClock({ wall: () => Date.now(), monotonic: () => performance.now() });
  /** When it answered last, in milliseconds of a monotonic clock. */
  #answeredAt = Number.NEGATIVE_INFINITY;
  #kept: Access | undefined;
  /** The credentials that are on their way, and since when. */
  #coming: { readonly since: number; readonly access: Promise<Access> } | undefined;

  constructor(config: KubeConfig, news: ConnectionNews) {
    this.#config = config;
    this.#news = news;
  }

  /** The namespace that the kubeconfig or the ServiceAccount names. */
  get namespace(): string | undefined {
    return this.#config.getContextObject(this.#config.getCurrentContext())?.namespace;
  }

  /** Milliseconds since the epoch by the clock of the API server. */
  now(): number {
    return this.#clock.now();
  }

  async request<T>(request: Request): Promise<T> {
    const response = await this.#send(request, AbortSignal.timeout(request.timeoutMs ?? REQUEST_MS));
    const { mostBytes = ANSWER_BYTES } = request;
    const begun = performance.now();
    try {
      const text = await readText(response.body, mostBytes);
      if (text !== undefined) return JSON.parse(text) as T;
    } catch (error) {
      // The answer broke off, was too slow or is no JSON. It is unknown whether the server did the request.
      throw this.#unanswered(error, request, begun);
    }
    throw new KubeError('failed', `the answer is longer than ${mostBytes} bytes`);
  }

  /**
   * The lines of a streamed answer, until the server ends it or `signal` aborts. An abort says nothing about the
   * server.
   */
  async *lines(request: Request, signal: AbortSignal): AsyncIterable<string> {
    const opening = new AbortController();
    const timer = setTimeout(() => opening.abort(), request.timeoutMs ?? REQUEST_MS);
    const response = await this.#send(request, AbortSignal.any([signal, opening.signal]), signal).finally(
      () => clearTimeout(timer),
    );
    const decoder = new TextDecoder();
    // A line can have a megabyte and arrive in pieces. They are joined once.
    let pieces: string[] = [];
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      const [first = '', ...others] = decoder.decode(chunk, { stream: true }).split('\n');
      pieces.push(first);
      for (const next of others) {
        yield pieces.join('');
        pieces = [next];
      }
    }
  }

  async #send(request: Request, signal: AbortSignal, givenUp?: AbortSignal) {
    const { method, path, query, contentType, body } = request;
    const url = new URL((this.#config.getCurrentCluster()?.server ?? '') + path);
    for (const [key, value] of Object.entries(query ?? {}))
      if (value !== undefined) url.searchParams.set(key, value);
    let begun = performance.now();
    let response: Dispatcher.ResponseData;
    try {
      const { headers, dispatcher } = await this.#access(signal);
      begun = performance.now();
      response = await send(url, {
        method,
        signal,
        ...NO_TIMERS,
        headers: {
          ...headers,
          ...(body === undefined ? {} : { 'content-type': contentType ?? 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(dispatcher ? { dispatcher } : {}),
      });
    } catch (error) {
      if (givenUp?.aborted)
        throw new KubeError('unavailable', describeError(error), undefined, undefined, error);
      throw this.#unanswered(error, request, begun);
    }
    const status = response.statusCode;
    if (status < 300) {
      this.#clock.hear(response.headers['date'], begun);
      this.#onSuccess();
      return response;
    }
    const text = await response.body.text().catch(() => '');
    const retryAfter = Math.min(Number(response.headers['retry-after']), RETRY_AFTER_SECONDS) || undefined;
    const { kind, message = `HTTP ${status}` } = saidIn(text);
    throw this.#noteFailure(
      new KubeError(
        kindOfStatus(status, kind === 'Status' ? message : undefined),
        message,
        status,
        retryAfter,
      ),
      request,
    );
  }

  /**
   * Headers and the connection pool. client-node makes a new pool, and so a new handshake, for each request. This
   * client keeps them, and renews them often enough for tokens and client certificates that rotate.
   */
  async #access(signal: AbortSignal): Promise<Access> {
    const now = performance.now();
    if (this.#kept && now - this.#kept.at < ACCESS_MS) return this.#kept;
    // A plugin or an identity provider may hang. All requests wait for the same answer, and after a while for another.
    if (!this.#coming || now - this.#coming.since >= ACCESS_MS) {
      const coming = { since: now, access: this.#readAccess(now) };
      this.#coming = coming;
      const forget = () => {
        if (this.#coming === coming) this.#coming = undefined;
      };
      coming.access.then(forget, forget);
    }
    return unlessAborted(this.#coming.access, signal);
  }

  async #readAccess(now: number): Promise<Access> {
    const context = new RequestContext(this.#config.getCurrentCluster()?.server ?? '', HttpMethod.GET);
    await this.#config.applySecurityAuthentication(context);
    const keepPool = this.#kept !== undefined && now - this.#kept.pooledAt < POOL_MS;
    const fresh = context.getDispatcher() as Dispatcher | undefined;
    // Running requests end on the old pool.
    if (!keepPool) this.#kept?.dispatcher?.close().catch(() => undefined);
    this.#kept = {
      at: now,
      headers: context.getHeaders(),
      pooledAt: keepPool ? (this.#kept?.pooledAt ?? now) : now,
      dispatcher: keepPool ? this.#kept?.dispatcher : fresh,
    };
    return this.#kept;
  }

  /** `error` says why there is no answer, or no whole one, since `begun`. */
  #unanswered(error: unknown, request: Request, begun: number): KubeError {
    const isLate = (error as Error).name === 'TimeoutError' && this.#answeredAt > begun;
    if (isLate && request.failsAlone) return new KubeError('failed', LATE, undefined, undefined, error);
    const failure = new KubeError('unavailable', describeError(error), undefined, undefined, error);
    return this.#noteFailure(failure, request);
  }

  #noteFailure(error: KubeError, { isDispensable = false }: Request): KubeError {
    if (error.kind === 'unauthenticated') this.#kept = undefined;
    if (error.kind !== 'unavailable' && error.kind !== 'unauthenticated') {
      this.#onSuccess();
      return error;
    }
    if (isDispensable && error.kind === 'unavailable') return error;
    const before = this.#away;
    this.#away ??= { since: performance.now(), unanswered: false };
    if (error.status === undefined) this.#away.unanswered = true;
    if (!before) this.#news({ kind: 'away', message: error.message });
    return error;
  }

  #onSuccess(): void {
    this.#answeredAt = performance.now();
    if (!this.#away) return;
    const { since, unanswered } = this.#away;
    this.#away = undefined;
    this.#news({ kind: 'back', afterMs: performance.now() - since, unanswered });
  }
}

/** Throws when the signal aborts first. */
async function unlessAborted<T>(coming: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const giveUp = () =>
    reject(new Error('the credentials of the kubeconfig do not come', { cause: signal.reason }));
  if (signal.aborted) giveUp();
  signal.addEventListener('abort', giveUp);
  try {
    return await Promise.race([aborted, coming]);
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

function describeError(error: unknown): string {
  const { message, code } = error as Error & { code?: unknown };
  return typeof code === 'string' && code !== '' ? code : message;
}

/** Parses the Status object of the API server. Something before the API server may have answered without JSON. */
function saidIn(text: string): { readonly kind?: string; readonly message?: string } {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
