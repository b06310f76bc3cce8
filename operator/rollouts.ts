/**
 * How many relays are replaced pod by pod at a time because the operator says so: a new image, or a new way to render.
 * The others keep the template that they have until it is their turn, and are scaled and reconfigured all the same. A
 * relay that does not come up keeps its turn for a while, so that a bad image does not reach all of them at once. What
 * a user changes is his own affair and does not wait, though the image does. The StatefulSet carries hashes of the
 * template that was applied, and of what its user has a say in: what others make of it holds no turn up.
 */
import { certificateSecretName } from '#crds/effective.ts';
import { hashContent } from '#crds/policyfile.ts';
import { listNames, listReferences } from '#crds/references.ts';
import { GROUP } from '#crds/wellknown.ts';
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
    readonly imagePullSecrets?: unknown;
    readonly volumes?: readonly {
      readonly secret?: { readonly secretName: string };
      readonly configMap?: { readonly name: string };
    }[];
    readonly containers: readonly {
      readonly name: string;
      readonly image?: unknown;
      readonly imagePullPolicy?: unknown;
    }[];
  };
}

/** Of the template as it was applied; and of the part of the spec that it follows from. */
const TEMPLATE = `${GROUP}/template`;
const WISHES = `${GROUP}/wishes`;

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
    if (set && isRolling(set) && !this.#turns.has(key)) this.#turns.set(key, now);
  }

  /** The StatefulSet as it may be applied now: `wanted`, or with the template that it has while it waits. */
  inTurn(world: World, wanted: Rendered): { set: Rendered; waits: boolean } {
    const live = world.objects.get(`StatefulSet/${wanted.metadata.name}`);
    const wishes = hashWishes(world);
    if (!live) return { set: marked(wanted, readSpec(wanted).template, wishes), waits: false };
    const { template } = readSpec(wanted);
    const kept = keptTemplate(live, template, wishes);
    const isAsWanted = covers(kept, template) || readMark(live, TEMPLATE) === hashContent(template);
    if (!this.#mayRoll(world, live, isAsWanted)) return { set: marked(wanted, kept, wishes), waits: true };
    // One that an older operator made is as good without marks.
    const isUnmarked = readMark(live, WISHES) === undefined && covers(readSpec(live).template, template);
    return { set: isUnmarked ? wanted : marked(wanted, template, wishes), waits: false };
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

/** The live one; where the user changed something of it, the wanted one with the image that it has. */
function keptTemplate(live: KubeObject, wanted: Template, wishes: string): Template {
  const is = readSpec(live).template;
  const mounted = listSources(is);
  const known = readMark(live, WISHES);
  // One that an older operator made does not say what it was made for.
  const isAsWished =
    known === undefined ? listSources(wanted).every((source) => mounted.includes(source)) : known === wishes;
  if (isAsWished) return is;
  const { imagePullSecrets } = is.spec;
  const { imagePullSecrets: _, ...spec } = wanted.spec;
  const containers = wanted.spec.containers.map((container) => {
    const { image, imagePullPolicy } = is.spec.containers.find(({ name }) => name === container.name) ?? {};
    return { ...container, ...(image === undefined ? {} : { image, imagePullPolicy }) };
  });
  return {
    ...wanted,
    spec: { ...spec, ...(imagePullSecrets === undefined ? {} : { imagePullSecrets }), containers },
  };
}

/** What a user has a say in: see "pods, one at a time" of the restart contract. */
function hashWishes({ relay: { metadata, spec }, policy }: World): string {
  const references = policy ? listReferences(policy) : [];
  return hashContent({
    pod: spec.pod ?? {},
    certificate: certificateSecretName(metadata.name, spec) ?? null,
    secrets: listNames(references, 'Secret'),
    configMaps: listNames(references, 'ConfigMap'),
  });
}

function marked(wanted: Rendered, template: Template, wishes: string): Rendered {
  const annotations = { ...wanted.metadata.annotations, [TEMPLATE]: hashContent(template), [WISHES]: wishes };
  return {
    ...wanted,
    metadata: { ...wanted.metadata, annotations },
    spec: { ...readSpec(wanted), template },
  };
}

function readMark({ metadata }: KubeObject, name: string): string | undefined {
  return metadata.annotations?.[name];
}

function listSources({ spec }: Template): string[] {
  return (spec.volumes ?? []).flatMap(({ secret, configMap }) => [
    ...(secret ? [`Secret/${secret.secretName}`] : []),
    ...(configMap ? [`ConfigMap/${configMap.name}`] : []),
  ]);
}

function readSpec(set: KubeObject | Rendered): StatefulSet['spec'] {
  return (set as unknown as StatefulSet).spec;
}
