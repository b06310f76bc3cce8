/**
 * How many relays are replaced pod by pod at a time because the operator says so: a new image, or a new way to render.
 * The others keep the template that they have until it is their turn, and are scaled and reconfigured all the same. A
 * relay that does not come up keeps its turn for a while, so that a bad image does not reach all of them at once. What
 * a user changes is his own affair, and does not wait.
 */
import { covers } from './compare.ts';
import type { KubeObject } from './kube/client.ts';
import type { Rendered } from './render/index.ts';
import type { World } from './world.ts';

/** After this long a relay that does not come up lets others go. */
const PATIENCE_MS = 10 * 60_000;

interface StatefulSet {
  readonly spec: { readonly template: unknown };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly currentRevision?: string;
    readonly updateRevision?: string;
  };
}

export class Rollouts {
  readonly #limit: number;
  /** Relays that have their turn, and since when. */
  readonly #turns = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** A relay that rolls already, at a start of the operator. */
  learn(key: string, objects: World['objects'], now: number): void {
    const set = objects.get(`StatefulSet/${key.slice(key.indexOf('/') + 1)}`);
    if (set && isRolling(set)) this.#turns.set(key, now);
  }

  /** The StatefulSet as it may be applied now: `wanted`, or with the template that it has while it waits. */
  inTurn(world: World, wanted: Rendered): { set: Rendered; waits: boolean } {
    const live = world.objects.get(`StatefulSet/${wanted.metadata.name}`);
    if (!live || this.#mayRoll(world, live, wanted)) return { set: wanted, waits: false };
    const spec = { ...(wanted['spec'] as object), template: specOf(live).template };
    return { set: { ...wanted, spec }, waits: true };
  }

  /** The MailRelay is gone. */
  forget(key: string): void {
    this.#turns.delete(key);
  }

  #mayRoll({ relay, now }: World, live: KubeObject, wanted: Rendered): boolean {
    const key = `${relay.metadata.namespace}/${relay.metadata.name}`;
    if (covers(specOf(live).template, (wanted['spec'] as { template: unknown }).template)) {
      if (!isRolling(live)) this.#turns.delete(key);
      else if (!this.#turns.has(key)) this.#turns.set(key, now);
      return true;
    }
    const isUsers = relay.status?.observedGeneration !== relay.metadata.generation;
    if (!isUsers && !this.#turns.has(key) && this.#under(now) >= this.#limit) return false;
    if (!this.#turns.has(key)) this.#turns.set(key, now);
    return true;
  }

  #under(now: number): number {
    return [...this.#turns.values()].filter((since) => now - since < PATIENCE_MS).length;
  }
}

function isRolling(set: KubeObject): boolean {
  const { status } = set as unknown as StatefulSet;
  const isSeen = status?.observedGeneration === set.metadata.generation;
  return !isSeen || status?.currentRevision !== status?.updateRevision;
}

function specOf(set: KubeObject): StatefulSet['spec'] {
  return (set as unknown as StatefulSet).spec;
}
