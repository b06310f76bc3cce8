/**
 * How many relays are replaced pod by pod at a time because the operator says so: a new image, or a new way to render.
 * The others keep the template that they have until it is their turn, and are scaled and reconfigured all the same. A
 * relay that does not come up keeps its turn for a while, so that a bad image does not reach all of them at once. What
 * a user changes is his own affair and does not wait; of a template that is only which Secrets and ConfigMaps it mounts.
 */
import { covers } from './compare.ts';
import type { KubeObject } from './kube/client.ts';
import type { Rendered } from './render/index.ts';
import type { World } from './world.ts';

/** After this long a relay that does not come up lets others go. */
const PATIENCE_MS = 10 * 60_000;

interface StatefulSet {
  readonly spec: { readonly template: Template };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly currentRevision?: string;
    readonly updateRevision?: string;
  };
}

interface Template {
  readonly spec: {
    readonly volumes?: readonly {
      readonly secret?: { readonly secretName: string };
      readonly configMap?: { readonly name: string };
    }[];
    readonly containers: readonly { readonly name: string; readonly volumeMounts?: unknown }[];
  };
}

export class Rollouts {
  readonly #limit: number;
  readonly #onFree: (key: string) => void;
  /** Relays that have their turn, and since when. */
  readonly #turns = new Map<string, number>();
  /** The others, the longest first. */
  readonly #waiting = new Set<string>();

  /** `onFree`: this relay may have its turn, if it asks now. */
  constructor(limit: number, onFree: (key: string) => void = () => undefined) {
    this.#limit = limit;
    this.#onFree = onFree;
  }

  /** A relay that rolls already, at a start of the operator. */
  learn(key: string, objects: World['objects'], now: number): void {
    const set = objects.get(`StatefulSet/${key.slice(key.indexOf('/') + 1)}`);
    if (set && isRolling(set)) this.#turns.set(key, now);
  }

  /** The StatefulSet as it may be applied now: `wanted`, or with the template that it has while it waits. */
  inTurn(world: World, wanted: Rendered): { set: Rendered; waits: boolean } {
    const live = world.objects.get(`StatefulSet/${wanted.metadata.name}`);
    if (!live) return { set: wanted, waits: false };
    const template = keptTemplate(specOf(live).template, specOf(wanted).template);
    if (this.#mayRoll(world, live, covers(template, specOf(wanted).template)))
      return { set: wanted, waits: false };
    return { set: { ...wanted, spec: { ...specOf(wanted), template } }, waits: true };
  }

  /** The MailRelay is gone. */
  forget(key: string, now: number): void {
    this.#end(key, now);
  }

  #mayRoll({ relay, now }: World, live: KubeObject, isAsWanted: boolean): boolean {
    const key = `${relay.metadata.namespace}/${relay.metadata.name}`;
    if (isAsWanted && !isRolling(live)) {
      this.#end(key, now);
      return true;
    }
    if (!isAsWanted && !this.#turns.has(key) && this.#free(now) <= 0) {
      this.#waiting.add(key);
      return false;
    }
    this.#waiting.delete(key);
    if (!this.#turns.has(key)) this.#turns.set(key, now);
    return true;
  }

  #end(key: string, now: number): void {
    const [hadTurn, waited] = [this.#turns.delete(key), this.#waiting.delete(key)];
    if (!hadTurn && !waited) return;
    for (const next of [...this.#waiting].slice(0, Math.max(0, this.#free(now)))) {
      // One that does not ask, because it is paused, shall not keep the others from it again.
      this.#waiting.delete(next);
      this.#waiting.add(next);
      this.#onFree(next);
    }
  }

  #free(now: number): number {
    return this.#limit - [...this.#turns.values()].filter((since) => now - since < PATIENCE_MS).length;
  }
}

function isRolling(set: KubeObject): boolean {
  const { status } = set as unknown as StatefulSet;
  const isSeen = status?.observedGeneration === set.metadata.generation;
  return !isSeen || status?.currentRevision !== status?.updateRevision;
}

/** The live one; with what is mounted now where the user names what it does not mount yet. */
function keptTemplate(live: Template, wanted: Template): Template {
  const mounted = sourcesOf(live);
  if (sourcesOf(wanted).every((source) => mounted.includes(source))) return live;
  const { volumes = [], containers } = wanted.spec;
  const mountsOf = new Map(containers.map(({ name, volumeMounts }) => [name, { volumeMounts }]));
  return {
    ...live,
    spec: {
      ...live.spec,
      volumes,
      containers: live.spec.containers.map((container) => ({
        ...container,
        ...mountsOf.get(container.name),
      })),
    },
  };
}

function sourcesOf({ spec }: Template): string[] {
  return (spec.volumes ?? []).flatMap(({ secret, configMap }) => [
    ...(secret ? [`Secret/${secret.secretName}`] : []),
    ...(configMap ? [`ConfigMap/${configMap.name}`] : []),
  ]);
}

function specOf(set: KubeObject | Rendered): StatefulSet['spec'] {
  return (set as unknown as StatefulSet).spec;
}
