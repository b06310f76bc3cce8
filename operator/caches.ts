/**
 * The caches of everything that is watched, indexed by MailRelay, and the news that one of them concerns a relay. In
 * namespaced mode one set of caches per namespace, and each by itself: one that is gone, or that may not be read, keeps
 * nobody from the others. Holds no opinion; never reads from the API server by itself.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import { listRelayKeys, reduceToKept } from './kept.ts';
import type { Client, KubeObject } from './kube/client.ts';
import {
  CERTIFICATE_REQUEST,
  CLAIM,
  type Kind,
  MAIL_RELAY,
  OPTIONAL,
  OWNED,
  OWNED_SELECTOR,
  POD,
} from './kube/kinds.ts';
import { ListWatch } from './kube/listwatch.ts';

export interface WatchFigures {
  readonly kind: string;
  readonly restarts: number;
  /** Milliseconds since the epoch; 0 before the first. */
  readonly lastEventAt: number;
}

export interface CacheOptions {
  readonly client: Pick<Client, 'request' | 'lines'>;
  /** Undefined: all namespaces. */
  readonly namespaces: readonly string[] | undefined;
  readonly random: () => number;
  /** A MailRelay, or something of it, changed. */
  readonly onNews: (key: string) => void;
  /** From now on everything is known of these. */
  readonly onComplete: (keys: readonly string[]) => void;
  readonly onTrouble: (kind: Kind, message: string) => void;
  /** In namespaced mode: one is gone, or may not be read, and can be read again. */
  readonly onAway: (namespace: string, message: string) => void;
  readonly onBack: (namespace: string) => void;
}

export interface NamespaceFigures {
  readonly namespace: string;
  readonly watched: boolean;
}

export class Caches {
  readonly #options: CacheOptions;
  /** By namespace; of all of them where none is named. */
  readonly #groups = new Map<string | undefined, ListWatch[]>();
  readonly #away = new Set<string>();
  readonly #relays = new Map<string, MailRelay>();
  /** By relay key, then by `Kind/name`. */
  readonly #objects = new Map<string, Map<string, KubeObject>>();

  constructor(options: CacheOptions) {
    this.#options = options;
    for (const namespace of options.namespaces ?? [undefined]) {
      const kinds = [...OWNED, CERTIFICATE_REQUEST, POD, CLAIM];
      const watches = kinds.map((kind) => this.#objectWatch(kind, namespace));
      this.#groups.set(namespace, [this.#relayWatch(namespace), ...watches]);
    }
  }

  get #watches(): ListWatch[] {
    return [...this.#groups.values()].flat();
  }

  start(): void {
    for (const watch of this.#watches) watch.start();
  }

  stop(): void {
    for (const watch of this.#watches) watch.stop();
  }

  /** True when everything is known, but for namespaces that may not be read. */
  get synced(): boolean {
    return [...this.#groups].every(([namespace, watches]) =>
      watches.every(({ synced, refused }) => synced || (namespace !== undefined && refused)),
    );
  }

  /** True when everything is known of a MailRelay of this key: a half-filled cache looks like a world without pods. */
  isComplete(key: string): boolean {
    const namespace = key.slice(0, key.indexOf('/'));
    const watches = this.#groups.get(namespace) ?? this.#groups.get(undefined);
    return watches?.every(({ synced }) => synced) ?? false;
  }

  /** In namespaced mode. */
  get namespaces(): NamespaceFigures[] {
    return [...this.#groups].flatMap(([namespace, watches]) =>
      namespace === undefined
        ? []
        : [{ namespace, watched: watches.every(({ synced, refused }) => synced && !refused) }],
    );
  }

  /** After the API server was away: connections may be dead without anybody having said so. */
  renew(): void {
    for (const watch of this.#watches) watch.renew();
  }

  /** What the server answered to a write of ours. What is not watched is not taken. */
  learn(object: KubeObject): void {
    this.#watches.find((watch) => watch.watches(object))?.learn(object);
  }

  /** Of each watch; in namespaced mode a kind has several. */
  get figures(): WatchFigures[] {
    return this.#watches.map(({ kind, restarts, lastEventAt }) => ({
      kind: kind.kind,
      restarts,
      lastEventAt,
    }));
  }

  /** True where the cluster knows the kind. */
  knows(kind: Kind): boolean {
    return this.#watches.some((watch) => watch.kind === kind && watch.exists);
  }

  relay(key: string): MailRelay | undefined {
    return this.#relays.get(key);
  }

  relaysIn(namespace: string): MailRelay[] {
    return [...this.#relays.values()].filter(({ metadata }) => metadata.namespace === namespace);
  }

  /** Of those of which everything is known. */
  keys(): string[] {
    return [...this.#relays.keys()].filter((key) => this.isComplete(key));
  }

  objectsOf(key: string): ReadonlyMap<string, KubeObject> {
    return this.#objects.get(key) ?? new Map();
  }

  #relayWatch(namespace: string | undefined): ListWatch {
    return new ListWatch({
      ...this.#common(MAIL_RELAY, namespace),
      labelSelector: undefined,
      onChange: (before, after) => {
        const object = (after ?? before) as KubeObject;
        const key = `${object.metadata.namespace}/${object.metadata.name}`;
        if (after) this.#relays.set(key, after as unknown as MailRelay);
        else this.#relays.delete(key);
        this.#options.onNews(key);
      },
    });
  }

  #objectWatch(kind: Kind, namespace: string | undefined): ListWatch {
    return new ListWatch({
      ...this.#common(kind, namespace),
      labelSelector: OWNED_SELECTOR,
      absentMs: OPTIONAL.get(kind),
      onChange: (before, after) => this.#store(kind, before, after),
    });
  }

  #common(kind: Kind, namespace: string | undefined) {
    const { client, random } = this.#options;
    return {
      ...{ client, kind, namespace, random, keep: reduceToKept },
      onTrouble: (_: Kind, message: string) => this.#troubled(kind, namespace, message),
      onRecovered: () => this.#recovered(namespace),
      onSynced: () => this.#complete(namespace),
      // Those at rest want something of this kind too.
      onExists: () => this.#complete(namespace),
    };
  }

  /** One line for a namespace, not one for each kind. */
  #troubled(kind: Kind, namespace: string | undefined, message: string): void {
    const isRefused = this.#groups.get(namespace)?.some(({ refused }) => refused);
    if (namespace === undefined || !isRefused) this.#options.onTrouble(kind, message);
    else if (!this.#away.has(namespace)) this.#options.onAway(namespace, message);
    if (namespace !== undefined && isRefused) this.#away.add(namespace);
  }

  #recovered(namespace: string | undefined): void {
    if (namespace === undefined || this.#groups.get(namespace)?.some(({ refused }) => refused)) return;
    if (this.#away.delete(namespace)) this.#options.onBack(namespace);
  }

  #complete(namespace: string | undefined): void {
    if (!this.#groups.get(namespace)?.every(({ synced }) => synced)) return;
    const isIn = (key: string) => namespace === undefined || key.startsWith(`${namespace}/`);
    this.#options.onComplete([...this.#relays.keys()].filter(isIn));
  }

  /** Under every relay that it concerns now, and no longer under those that it concerned: all of them look again. */
  #store(kind: Kind, before: KubeObject | undefined, after: KubeObject | undefined): void {
    const [were, are] = [listRelayKeys(before), listRelayKeys(after)];
    const name = `${kind.kind}/${((after ?? before) as KubeObject).metadata.name}`;
    for (const key of were) if (!are.has(key)) this.#drop(key, name);
    for (const key of are) {
      const objects = this.#objects.get(key) ?? new Map<string, KubeObject>();
      this.#objects.set(key, objects.set(name, after as KubeObject));
    }
    for (const key of new Set([...were, ...are])) this.#options.onNews(key);
  }

  #drop(key: string, name: string): void {
    const objects = this.#objects.get(key);
    objects?.delete(name);
    if (objects?.size === 0) this.#objects.delete(key);
  }
}
