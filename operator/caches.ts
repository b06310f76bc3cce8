/**
 * The caches of everything that is watched, indexed by MailRelay, and the news that one of them concerns a relay. In
 * namespaced mode one set of caches per namespace. Holds no opinion; never reads from the API server by itself.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import { keptOf, relayKeysOf } from './kept.ts';
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
  readonly onTrouble: (kind: Kind, message: string) => void;
}

export class Caches {
  readonly #options: CacheOptions;
  readonly #watches: ListWatch[] = [];
  readonly #relays = new Map<string, MailRelay>();
  /** By relay key, then by `Kind/name`. */
  readonly #objects = new Map<string, Map<string, KubeObject>>();

  constructor(options: CacheOptions) {
    this.#options = options;
    for (const namespace of options.namespaces ?? [undefined]) {
      this.#watches.push(this.#relayWatch(namespace));
      for (const kind of [...OWNED, CERTIFICATE_REQUEST, POD, CLAIM])
        this.#watches.push(this.#objectWatch(kind, namespace));
    }
  }

  start(): void {
    for (const watch of this.#watches) watch.start();
  }

  stop(): void {
    for (const watch of this.#watches) watch.stop();
  }

  get synced(): boolean {
    return this.#watches.every(({ synced }) => synced);
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

  keys(): Iterable<string> {
    return this.#relays.keys();
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
    const { client, random, onTrouble } = this.#options;
    return { client, kind, namespace, random, onTrouble, keep: keptOf };
  }

  /** Under every relay that it concerns now, and no longer under those that it concerned: all of them look again. */
  #store(kind: Kind, before: KubeObject | undefined, after: KubeObject | undefined): void {
    const [were, are] = [relayKeysOf(before), relayKeysOf(after)];
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
