/**
 * Reads one collection of the API server: lists all objects one by one, or watches changes. A list is streamed if the
 * server supports it, else read in small pages, so that large objects of others need little memory. Throws the errors
 * of the client, and an error after too much silence.
 */
import type { Client, KubeObject, Request } from './client.ts';
import { isKubeError, KubeError } from './errors.ts';
import { readHead } from './eventhead.ts';
import { apiPath, type Kind } from './kinds.ts';

/** Objects in a page: few, because an object can have more than a megabyte. */
const PAGE = 5;
const LIST_SILENCE_MS = 15_000;
/** From this length on the head of an event is read first. */
const LARGE_EVENT = 32 * 1024;
const WATCH = { watch: 'true', allowWatchBookmarks: 'true' };
const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';

export interface CollectionOptions {
  readonly client: Pick<Client, 'request' | 'lines'>;
  readonly kind: Kind;
  readonly namespace: string | undefined;
  readonly labelSelector: string | undefined;
  /** False if nobody needs more than these metadata of an object. A large one then comes without its content. */
  readonly needsContent?: (object: KubeObject) => boolean;
}

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: KubeObject & { readonly code?: number; readonly message?: string };
}

interface ListPage {
  readonly items: KubeObject[];
  readonly metadata: { readonly resourceVersion?: string; readonly continue?: string };
}

type Query = Readonly<Record<string, string | undefined>>;

export class Collection {
  readonly #options: CollectionOptions;
  #streams = true;

  constructor(options: CollectionOptions) {
    this.#options = options;
  }

  /** True if a list is a watch that begins with all objects: who may have the one may have the other. */
  get streams(): boolean {
    return this.#streams;
  }

  /** Passes every object of one resource version to `take`, and resolves with that version. */
  async list(take: (object: KubeObject) => void, signal: AbortSignal): Promise<string | undefined> {
    if (!this.#streams) return this.#listPages(take);
    try {
      return await this.#listStream(take, signal);
    } catch (error) {
      if (!isKubeError(error, 'invalid', 'failed')) throw error;
      // Servers before 1.32, and servers on which streamed lists are switched off. Others fail at it, or for this time.
      this.#streams = !isKubeError(error, 'invalid');
      return this.#listPages(take);
    }
  }

  /** Watches until the server ends the watch. */
  watch(
    version: string | undefined,
    seconds: number,
    silenceMs: number,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent> {
    return this.#events({ resourceVersion: version, timeoutSeconds: String(seconds) }, silenceMs, signal);
  }

  async #listStream(take: (object: KubeObject) => void, signal: AbortSignal): Promise<string | undefined> {
    const query = { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' };
    let isBegun = false;
    for await (const { type, object } of this.#events(query, LIST_SILENCE_MS, signal)) {
      if (type === 'ERROR') {
        const { message = `list error ${object.code}`, code } = object;
        // A server whose etcd is too old for it says so in the stream. In the middle of a list it is what breaks the list off.
        throw isBegun ? new Error(message) : new KubeError('failed', message, code);
      }
      isBegun = true;
      if (type === 'ADDED') take(object);
      // Anybody can give an object this annotation, and would hide all that come after it.
      if (type === 'BOOKMARK' && object.metadata.annotations?.[INITIAL_EVENTS_END] === 'true')
        return object.metadata.resourceVersion;
    }
    throw new Error('the list ended before it was complete');
  }

  async #listPages(take: (object: KubeObject) => void): Promise<string | undefined> {
    let next: string | undefined;
    let version: string | undefined;
    do {
      const page: ListPage = await this.#options.client.request<ListPage>(
        this.#request({ limit: String(PAGE), continue: next }),
      );
      for (const item of page.items) take(item);
      version = page.metadata.resourceVersion;
      next = page.metadata.continue || undefined;
    } while (next);
    return version;
  }

  async *#events(query: Query, silenceMs: number, signal: AbortSignal): AsyncIterable<WatchEvent> {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), silenceMs);
    const request = this.#request({ ...WATCH, ...query });
    try {
      for await (const line of this.#options.client.lines(
        request,
        AbortSignal.any([silence.signal, signal]),
      )) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), silenceMs);
        yield this.#parse(line);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #parse(line: string): WatchEvent {
    const head = line.length < LARGE_EVENT ? undefined : readHead(line);
    const isEnough = head && this.#options.needsContent?.(head.object) === false;
    return isEnough ? head : (JSON.parse(line) as WatchEvent);
  }

  #request(query: Query): Request {
    const { kind, namespace, labelSelector } = this.#options;
    return { method: 'GET', path: apiPath(kind, namespace), query: { ...query, labelSelector } };
  }
}
