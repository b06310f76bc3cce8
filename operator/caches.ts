/**
 * The caches of all watched kinds, indexed by MailRelay. They report each change with the MailRelay that it concerns.
 * In namespaced mode each namespace has its own set of caches: a namespace that is gone, or that the operator may not
 * read, does not disturb the others. The caches decide nothing, and never read from the API server by themselves.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import type { CacheOptions } from './cacheoptions.ts';
import { isExtra, needsToKnow } from './judge/unlisted.ts';
import {
  findMaker,
  type KnownRelay,
  listRelayKeys,
  needsContent,
  reduceToKept,
  withKnownSpec,
} from './kept.ts';
import type { KeptObject, KubeObject } from './kube/client.ts';
import {
  apiPath,
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
import { isPartial } from './kube/partial.ts';
import { readNamespace } from './kube/waitingkeys.ts';
import { OwnStatuses } from './ownstatus.ts';
import { findServedSecret } from './records/servedsecret.ts';
import type { UnlistedKind } from './world.ts';

export interface WatchFigures {
  readonly kind: string;
  readonly restarts: number;
  /** On the monotonic clock; undefined before the first event. */
  readonly lastEventAt: number | undefined;
}

export interface NamespaceFigures {
  readonly namespace: string;
  readonly watched: boolean;
}

export class Caches {
  readonly #options: CacheOptions;
  /** By namespace; under undefined those of all namespaces. */
  readonly #groups = new Map<string | undefined, ListWatch[]>();
  readonly #away = new Set<string>();
  readonly #relays = new Map<string, MailRelay>();
  readonly #ownStatuses = new OwnStatuses();
  /** By relay key, then by `Kind/name`. */
  readonly #objects = new Map<string, Map<string, KeptObject>>();

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

  /** The MailRelays come first, because they decide what is kept of the objects. */
  start(): void {
    for (const [relays] of this.#groups.values()) relays?.start();
  }

  stop(): void {
    for (const watch of this.#watches) watch.stop();
  }

  /**
   * True if all caches are complete, except those of namespaces that may not be read, and of extras that cannot be
   * listed.
   */
  get synced(): boolean {
    return [...this.#groups].every(
      ([namespace, watches]) => watches.every(isListed) || (namespace !== undefined && isAway(watches)),
    );
  }

  /**
   * True if the caches of this MailRelay are complete. A half-filled cache looks as if there were no pods, and one of MailRelays
   * that are not heard of any more has old wishes. An extra that cannot be listed keeps only those relays that need to know it.
   */
  isComplete(key: string): boolean {
    return (
      this.#watchesFor(key)?.every(({ synced, overdue, isDeaf, kind }) =>
        synced ? kind !== MAIL_RELAY || !isDeaf : overdue && !needsToKnow(this.#relays.get(key), kind),
      ) ?? false
    );
  }

  /** The extras that cannot be listed, or may not be watched any more. Of those that this MailRelay needs, its own is read by name. */
  listUnlisted(key: string): Record<'unlisted' | 'readByName', readonly UnlistedKind[]> {
    const all =
      this.#watchesFor(key)?.filter((one) => isExtra(one.kind) && (one.overdue || one.isDeaf)) ?? [];
    const isNeeded = ({ kind }: ListWatch) => needsToKnow(this.#relays.get(key), kind);
    const told = (watches: readonly ListWatch[]) =>
      watches.map(({ kind, failure }) => ({ kind: kind.kind, message: failure }));
    return { unlisted: told(all.filter((one) => !isNeeded(one))), readByName: told(all.filter(isNeeded)) };
  }

  #watchesFor(key: string): ListWatch[] | undefined {
    return this.#groups.get(readNamespace(key)) ?? this.#groups.get(undefined);
  }

  /** The figures of each namespace in namespaced mode. */
  get namespaces(): NamespaceFigures[] {
    return [...this.#groups].flatMap(([namespace, watches]) =>
      namespace === undefined ? [] : [{ namespace, watched: !isAway(watches) && watches.every(isListed) }],
    );
  }

  /**
   * Why nothing can be done yet, or nothing is heard of a kind that each relay needs, as after somebody removed the roles of the
   * operator. In namespaced mode a namespace may go, but not all of them.
   */
  get trouble(): string | undefined {
    const deaf = [...this.#groups.values()].map((group) =>
      group.find(({ isDeaf, kind }) => isDeaf && !isExtra(kind)),
    );
    const [first] = deaf;
    if (first && deaf.every((one) => one !== undefined))
      return `changes are not seen, restore the roles of the operator, or its CRD: ${first.failure}`;
    return this.synced ? undefined : 'the caches are not complete yet';
  }

  /** Renews the watches after the API server was away, because their connections may be dead without an error. */
  renew(): void {
    for (const watch of this.#watches) watch.renew();
  }

  /** Takes the answer to a write of ours into the cache. Ignores kinds that are not watched. */
  learn(object: KubeObject): void {
    this.#watches.find((watch) => watch.watches(object))?.learn(object);
  }

  /** The status of this MailRelay is being written. What comes back of it is no news. */
  expectStatus(relay: KubeObject): void {
    this.#ownStatuses.note(relay);
  }

  /**
   * The paths of objects that the MailRelay may have created, and that were there before it. Their content is not kept
   * yet.
   */
  listPartial(key: string): string[] {
    return [...this.objectsOf(key).values()].flatMap((object) => {
      const { name, namespace } = object.metadata;
      const kind = [...OWNED, CLAIM].find((known) => known.kind === object.kind);
      const isIts = isPartial(object) && `${namespace}/${findMaker(object, this.#known)}` === key;
      return kind && isIts ? [apiPath(kind, namespace, name)] : [];
    });
  }

  /** Takes the content of such an object. */
  complete(object: KubeObject): void {
    this.#watches.find((watch) => watch.watches(object))?.complete(object);
  }

  /** The figures of each watch. In namespaced mode a kind has several watches. */
  get figures(): WatchFigures[] {
    return this.#watches.map(({ kind, restarts, lastEventAt }) => ({
      kind: kind.kind,
      restarts,
      lastEventAt,
    }));
  }

  /** True if the cluster knows the kind. */
  knows(kind: Kind): boolean {
    return this.#watches.some((watch) => watch.kind === kind && watch.exists);
  }

  relay(key: string): MailRelay | undefined {
    return this.#relays.get(key);
  }

  relaysIn(namespace: string): MailRelay[] {
    return [...this.#relays.values()].filter(({ metadata }) => metadata.namespace === namespace);
  }

  /** The keys of the MailRelays whose caches are complete. */
  keys(): string[] {
    return [...this.#relays.keys()].filter((key) => this.isComplete(key));
  }

  objectsOf(key: string): ReadonlyMap<string, KeptObject> {
    return this.#objects.get(key) ?? new Map();
  }

  readonly #known = (key: string): KnownRelay | undefined => {
    const relay = this.#relays.get(key);
    return relay && { spec: relay.spec, served: findServedSecret({ relay, objects: this.objectsOf(key) }) };
  };

  #relayWatch(namespace: string | undefined): ListWatch {
    return new ListWatch({
      ...this.#common(MAIL_RELAY, namespace),
      labelSelector: undefined,
      onSynced: () => {
        for (const watch of this.#groups.get(namespace)?.slice(1) ?? []) watch.start();
      },
      onChange: (before, after) => {
        const object = (after ?? before) as KubeObject;
        const key = `${object.metadata.namespace}/${object.metadata.name}`;
        if (after) this.#relays.set(key, after as unknown as MailRelay);
        else this.#relays.delete(key);
        if (!this.#ownStatuses.isEcho(before, after)) this.#options.onNews(key);
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
      ...{ client, kind, namespace, random },
      needsContent: ({ metadata }: KubeObject) => needsContent({ kind: kind.kind, metadata }, this.#known),
      keep: (object: KubeObject, before: KubeObject | undefined) =>
        withKnownSpec(reduceToKept(object, this.#known), before),
      onTrouble: (_: Kind, message: string) => this.#onTrouble(kind, namespace, message),
      onRecovered: () => {
        this.#recovered(namespace);
        this.#tellComplete(namespace);
      },
      onSynced: () => this.#tellComplete(namespace),
      onOverdue: () => this.#tellComplete(namespace),
      // Relays that are at rest may want an object of this kind too.
      onExists: () => this.#tellComplete(namespace),
    };
  }

  /** Reports one line for a namespace, not one for each kind. */
  #onTrouble(kind: Kind, namespace: string | undefined, message: string): void {
    const isRefused = !isExtra(kind) && isAway(this.#groups.get(namespace) ?? []);
    if (namespace === undefined || !isRefused) this.#options.onTrouble(kind, message);
    else if (!this.#away.has(namespace)) this.#options.onAway(namespace, message);
    if (namespace !== undefined && isRefused) this.#away.add(namespace);
  }

  #recovered(namespace: string | undefined): void {
    if (namespace === undefined || isAway(this.#groups.get(namespace) ?? [])) return;
    if (this.#away.delete(namespace)) this.#options.onBack(namespace);
  }

  #tellComplete(namespace: string | undefined): void {
    const isIn = (key: string) => namespace === undefined || key.startsWith(`${namespace}/`);
    this.#options.onComplete(this.keys().filter(isIn));
  }

  /**
   * Moves the object from the relays that it concerned to those that it concerns now. All of them are looked at again.
   */
  #store(kind: Kind, before: KubeObject | undefined, after: KubeObject | undefined): void {
    const [were, are] = [listRelayKeys(before), listRelayKeys(after)];
    const name = `${kind.kind}/${((after ?? before) as KubeObject).metadata.name}`;
    for (const key of were) if (!are.has(key)) this.#drop(key, name);
    for (const key of are) {
      const objects = this.#objects.get(key) ?? new Map<string, KeptObject>();
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

/** An extra that cannot be listed is given up after some failures. It is tried on. */
function isListed({ synced, overdue, kind }: ListWatch): boolean {
  return synced || (overdue && isExtra(kind));
}

/** True for a namespace that is gone, or in which something may not be read that mail needs. */
function isAway(watches: readonly ListWatch[]): boolean {
  return watches.some(({ refused, kind }) => refused && !isExtra(kind));
}
