/**
 * A cache of one collection. It lists, then watches with bookmarks, and never stops. It continues an ended watch at its
 * last version, lists again if that version has expired, retries after a failure with growing pauses and jitter, and
 * replaces a watch that is silent for too long. Callers get a map and a call for each change. They never get a failure.
 */
import type { KubeObject } from './client.ts';
import { Collection, makeKey, type WatchEvent } from './collection.ts';
import { isKubeError } from './errors.ts';
import type { Kind } from './kinds.ts';
import type { ListWatchOptions } from './listwatchoptions.ts';
import { sleepUnlessAborted } from './sleep.ts';

const WATCH_SECONDS = 290;
/** Of a watch that may be refused: only its end shows that it is not, if nothing happens. */
const PROBE_SECONDS = 5;
/**
 * After this much silence the connection is dead, because a bookmark comes about once a minute. A busy server may skip
 * one. Then the new watch costs a request without need, which is better than a dead watch for one more minute.
 */
const SILENCE_MS = 80_000;
const RETRY_FIRST_MS = 500;
const RETRY_LAST_MS = 15_000;
const HASTY_MS = 1_000;
/** The failures in a row after which nobody should wait for the first list, and the refusals after which it is deaf. */
const OVERDUE_AFTER = 4;

export class ListWatch {
  readonly #options: ListWatchOptions;
  readonly #collection: Collection;
  readonly #objects = new Map<string, KubeObject>();
  readonly #stopped = new AbortController();
  #renewal = new AbortController();
  #version: string | undefined;
  #failures = 0;
  #trouble = '';
  #failure = '';
  #synced = false;
  #overdue = false;
  #exists = false;
  /** The refusals since it could be read last. An absence of the server in between says nothing else. */
  #refusals = 0;
  /** True if the last answer said that an optional kind does not exist. */
  #isMissed = false;
  /** The number of watches and lists that failed. */
  restarts = 0;
  /** When the last event or bookmark came, on the monotonic clock; undefined before the first one. */
  lastEventAt: number | undefined;

  constructor(options: ListWatchOptions) {
    this.#options = options;
    this.#collection = new Collection({
      ...options,
      needsContent: (object) => !this.#has(object) && (options.needsContent?.(object) ?? true),
    });
  }

  get kind(): Kind {
    return this.#options.kind;
  }

  /** True after the first complete list. */
  get synced(): boolean {
    return this.#synced;
  }

  /** True from some failures of the first list on until it succeeds. */
  get overdue(): boolean {
    return this.#overdue && !this.#synced;
  }

  /** The message of the last failure that the kind itself has, or of the first one of all; empty before it. */
  get failure(): string {
    return this.#failure;
  }

  /** False while the cluster does not know the kind. */
  get exists(): boolean {
    return this.#exists;
  }

  /** True while the collection may not be read or does not exist, for example because its namespace is gone. */
  get refused(): boolean {
    return this.#refusals > 0;
  }

  /** True from some refusals on until it can be read. What the cache has is old then, if it has anything. */
  get isDeaf(): boolean {
    return this.#refusals >= OVERDUE_AFTER;
  }

  start(): void {
    void this.#run();
  }

  stop(): void {
    this.#stopped.abort();
  }

  /** Starts the watch again at once, at its last version: its connection may be dead, or it may wait for the next try. */
  renew(): void {
    this.#renewal.abort();
  }

  /** True if the object belongs into this cache. */
  watches({ kind, metadata }: KubeObject): boolean {
    const { kind: own, namespace, labelSelector } = this.#options;
    const [label = '', value] = labelSelector?.split('=') ?? [];
    return (
      kind === own.kind &&
      (namespace === undefined || namespace === metadata.namespace) &&
      (labelSelector === undefined || metadata.labels?.[label] === value)
    );
  }

  /**
   * Takes an object from the answer to a write, so that the cache shows the write before the watch reports it. Ignores
   * a version that the watch has passed, because the object may have been deleted since.
   */
  learn(object: KubeObject): void {
    if (isNewer(object.metadata.resourceVersion, this.#version)) this.#store(this.#kept(object));
  }

  /** Takes an object again of which the cache kept only a part, unless the watch reports a newer version anyway. */
  complete(object: KubeObject): void {
    const before = this.#objects.get(makeKey(object));
    if (before?.metadata.resourceVersion !== object.metadata.resourceVersion) return;
    const kept = this.#kept(object);
    this.#objects.set(makeKey(object), kept);
    this.#options.onChange(before, kept);
  }

  async #run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      try {
        // A watch in which nothing happens says only after a minute that it can be read again.
        const isSilent = this.isDeaf && this.#collection.streams;
        if (this.#version === undefined || isSilent) await this.#list();
        const begun = performance.now();
        await this.#watch();
        // Without this error, a server that ends watches at once would get requests in a tight loop.
        if (performance.now() - begun < HASTY_MS) throw new Error('the watch ended at once');
        // One that the server ended in its time could be read, though nothing happened.
        this.#onSuccess();
      } catch (error) {
        if (!this.#isRenewed()) await this.#failed(error);
      }
    }
  }

  #isRenewed(): boolean {
    const renewed = this.#renewal.signal.aborted;
    if (renewed) this.#renewal = new AbortController();
    return renewed;
  }

  async #list(): Promise<void> {
    const listed = await this.#collection.list((object) => this.#kept(object), this.#signal);
    this.#version = listed.version;
    this.#onSuccess();
    this.#replaceAll(listed.objects);
    const isNew = !this.#exists;
    this.#exists = true;
    this.#becomeSynced();
    if (isNew) this.#options.onExists?.();
  }

  #replaceAll(found: ReadonlyMap<string, KubeObject>): void {
    for (const [key, before] of this.#objects) {
      if (found.has(key)) continue;
      this.#objects.delete(key);
      this.#options.onChange(before, undefined);
    }
    for (const object of found.values()) this.#store(object);
  }

  async #watch(): Promise<void> {
    const { random, silenceMs = SILENCE_MS } = this.#options;
    const seconds = this.isDeaf ? PROBE_SECONDS : Math.round(WATCH_SECONDS + 20 * random());
    for await (const event of this.#collection.watch(this.#version, seconds, silenceMs, this.#signal))
      this.#hear(event);
  }

  get #signal(): AbortSignal {
    return AbortSignal.any([this.#stopped.signal, this.#renewal.signal]);
  }

  #hear({ type, object }: WatchEvent): void {
    this.lastEventAt = performance.now();
    if (type === 'ERROR') {
      // 410 as an event: our version is too old to continue the watch.
      this.#version = undefined;
      throw new Error(object.message ?? `watch error ${object.code}`);
    }
    this.#version = object.metadata.resourceVersion;
    this.#onSuccess();
    if (type === 'BOOKMARK') return;
    if (type !== 'DELETED') {
      this.#store(this.#kept(object));
      return;
    }
    const before = this.#objects.get(makeKey(object));
    if (isNewer(before?.metadata.resourceVersion, object.metadata.resourceVersion)) return;
    this.#objects.delete(makeKey(object));
    this.#options.onChange(before ?? object, undefined);
  }

  #store(object: KubeObject): void {
    const key = makeKey(object);
    const before = this.#objects.get(key);
    const [known, told] = [before?.metadata.resourceVersion, object.metadata.resourceVersion];
    if (known === told || isNewer(known, told)) return;
    this.#objects.set(key, object);
    this.#options.onChange(before, object);
  }

  async #failed(error: unknown): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    if (isKubeError(error, 'expired')) this.#version = undefined;
    const { absentMs, random } = this.#options;
    const isMissing = isKubeError(error, 'notFound') && absentMs !== undefined;
    // One answer of a server that has just started does not prove that a known kind is gone.
    const isBelieved = isMissing && (this.#isMissed || !this.#exists);
    this.#isMissed = isMissing;
    if (isBelieved) {
      this.#replaceAll(new Map());
      this.#version = undefined;
      this.#exists = false;
      this.#isReadable();
      this.#becomeSynced();
      await this.#pause(absentMs * (0.75 + random() / 2));
      return;
    }
    this.restarts += 1;
    const isRefusal = !isMissing && isKubeError(error, 'forbidden', 'notFound');
    if (isRefusal) this.#refusals += 1;
    if ((isRefusal || isKubeError(error, 'failed')) && this.#trouble !== error.message) {
      this.#trouble = error.message;
      this.#options.onTrouble(this.#options.kind, error.message);
    }
    this.#failures += 1;
    // An absence of the server, or a connection that ends, says nothing of the kind.
    const isOfKind = isKubeError(error, 'forbidden', 'notFound', 'failed', 'invalid');
    if (isOfKind || !this.#failure) this.#failure = (error as Error).message;
    const isLate = !this.#synced && !this.#overdue && this.#failures >= OVERDUE_AFTER;
    this.#overdue ||= isLate;
    if (isLate || (isRefusal && this.#refusals === OVERDUE_AFTER)) this.#options.onOverdue?.();
    const pause = Math.min(RETRY_FIRST_MS * 2 ** (this.#failures - 1), RETRY_LAST_MS) * (0.5 + random());
    const asked = isKubeError(error) ? (error.retryAfter ?? 0) * 1000 : 0;
    await this.#pause(Math.max(pause, asked));
  }

  async #pause(ms: number): Promise<void> {
    await sleepUnlessAborted(ms, this.#signal);
    if (this.#isRenewed()) this.#failures = 0;
  }

  #onSuccess(): void {
    this.lastEventAt = performance.now();
    this.#failures = 0;
    this.#trouble = '';
    this.#isMissed = false;
    this.#isReadable();
  }

  #isReadable(): void {
    const wasRefused = this.refused;
    this.#refusals = 0;
    if (wasRefused) this.#options.onRecovered?.();
  }

  #becomeSynced(): void {
    if (this.#synced) return;
    this.#synced = true;
    this.#options.onSynced?.();
  }

  /** True if the cache has this version of the object: most often it came as the answer to a write. */
  #has(object: KubeObject): boolean {
    const { resourceVersion } = object.metadata;
    return this.#objects.get(makeKey(object))?.metadata.resourceVersion === resourceVersion;
  }

  /** Adds kind and API version, because the items of a list have neither. */
  #kept(object: KubeObject): KubeObject {
    const { kind, apiVersion } = this.kind;
    const { keep = (whole) => whole } = this.#options;
    return keep({ ...object, apiVersion, kind }, this.#objects.get(makeKey(object)));
  }
}

/** Compares resource versions, which grow within one kind. False if they cannot be compared. */
function isNewer(version: string | undefined, than: string | undefined): boolean {
  return Number(version) > Number(than);
}
