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

export interface Listed {
  /** By the key that makeKey returns. */
  readonly objects: ReadonlyMap<string, KubeObject>;
  readonly version: string | undefined;
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

  /** All objects of one resource version. `keep` returns what is to be kept of an object, as soon as it has come. */
  async list(keep: (object: KubeObject) => KubeObject, signal: AbortSignal): Promise<Listed> {
    if (!this.#streams) return this.#listPages(keep);
    try {
      return await this.#listStream(keep, signal);
    } catch (error) {
      if (!isKubeError(error, 'invalid', 'failed')) throw error;
      // Servers before 1.32, and servers on which streamed lists are switched off. Others fail at it, or for this time.
      this.#streams = !isKubeError(error, 'invalid');
      return this.#listPages(keep);
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

  async #listStream(keep: (object: KubeObject) => KubeObject, signal: AbortSignal): Promise<Listed> {
    const query = { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' };
    const objects = new Map<string, KubeObject>();
    let isBegun = false;
    for await (const { type, object } of this.#events(query, LIST_SILENCE_MS, signal)) {
      if (type === 'ERROR') {
        const { message = `list error ${object.code}`, code } = object;
        // A server whose etcd is too old for it says so in the stream. In the middle of a list it is what breaks the list off.
        throw isBegun ? new Error(message) : new KubeError('failed', message, code);
      }
      isBegun = true;
      // What changes or goes meanwhile comes before the end of the list too.
      if (type === 'DELETED') objects.delete(makeKey(object));
      else if (type !== 'BOOKMARK') objects.set(makeKey(object), keep(object));
      // Anybody can give an object this annotation, and would hide all that come after it.
      else if (object.metadata.annotations?.[INITIAL_EVENTS_END] === 'true')
        return { objects, version: object.metadata.resourceVersion };
    }
    throw new Error('the list ended before it was complete');
  }

  async #listPages(keep: (object: KubeObject) => KubeObject): Promise<Listed> {
    const objects = new Map<string, KubeObject>();
    let next: string | undefined;
    let version: string | undefined;
    do {
      const page: ListPage = await this.#options.client.request<ListPage>(
        this.#request({ limit: String(PAGE), continue: next }),
      );
      for (const item of page.items) objects.set(makeKey(item), keep(item));
      version = page.metadata.resourceVersion;
      next = page.metadata.continue || undefined;
    } while (next);
    return { objects, version };
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

export function makeKey({ metadata }: KubeObject): string {
  return `${metadata.namespace}/${metadata.name}`;
}
