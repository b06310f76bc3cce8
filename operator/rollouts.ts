/**
 * Limits how many relays roll at a time because of a new operator, which brings a new image or renders pods in a new
 * way. The other relays keep their old template until their turn; they are scaled and reconfigured meanwhile. A relay
 * that does not become ready keeps its turn for a while, so that a bad image does not reach all relays at once. A
 * change by the user does not wait, but a new image of the operator waits even then. However many relays of another
 * namespace roll, they count as half of the turns at most, so that no namespace holds up all others. The StatefulSet
 * carries a hash of the template that was applied, and hashes of the fields that the user controls, so that changes by
 * others do not hold a turn up.
 */
import { certificateSecretName } from '#crds/effective.ts';
import { hashContent } from '#crds/policyfile.ts';
import { listNames, listReferences } from '#crds/references.ts';
import type { FieldsWith } from '#crds/restart.ts';
import { GROUP } from '#crds/wellknown.ts';
import { covers, isOwnedBy } from './compare.ts';
import { isRolling } from './judge/pods.ts';
import { hasSidecar } from './judge/sidecar.ts';
import type { KeptObject, KubeObject } from './kube/client.ts';
import { isKnown } from './kube/partial.ts';
import { readNamespace } from './kube/waitingkeys.ts';
import type { Rendered } from './render/index.ts';
import type { World } from './world.ts';

/** A relay that is not ready after this time gives its turn to others. */
const PATIENCE_MS = 10 * 60_000;

interface StatefulSet {
  readonly spec: { readonly template: Template };
}

interface Template {
  readonly spec: {
    readonly imagePullSecrets?: unknown;
    readonly initContainers?: readonly { readonly name: string }[];
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

/** Annotations with the hash of the applied template, and with hashes of the fields that the user controls. */
const TEMPLATE = `${GROUP}/template`;
const WISHES = `${GROUP}/wishes`;
const SIDECAR_WISHES = `${GROUP}/wishes-sidecar`;

/** The hashes of the fields that the user controls, by annotation. */
type Wishes = Readonly<Record<string, string>>;

export class Rollouts {
  readonly #limit: number;
  readonly #onFree: (key: string) => void;
  /** Relays that have a turn, and its beginning. */
  readonly #turns = new Map<string, number>();
  /** Relays that wait for a turn; the first has waited longest. */
  readonly #waiting = new Set<string>();

  /** `onFree` is called with a relay that gets a turn if it asks now. */
  constructor(limit: number, onFree: (key: string) => void = () => undefined) {
    this.#limit = limit;
    this.#onFree = onFree;
  }

  /** Gives a turn to a relay that is rolling at the start of the operator. */
  learn(key: string, objects: ReadonlyMap<string, KeptObject>, now: number): void {
    const set = objects.get(`StatefulSet/${key.slice(key.indexOf('/') + 1)}`);
    if (set && isKnown(set) && isRolling(set) && !this.#turns.has(key)) this.#turns.set(key, now);
  }

  /** The StatefulSet to apply now: `wanted`, or with the old template while the relay waits. */
  inTurn(world: World, wanted: Rendered): { set: Rendered; waits: boolean } {
    const live = world.objects.get(`StatefulSet/${wanted.metadata.name}`);
    const wishes = hashWishes(world);
    if (!live || !isOwnedBy(live, world.relay))
      return { set: marked(wanted, readSpec(wanted).template, wishes), waits: false };
    const { template } = readSpec(wanted);
    const kept = keptTemplate(live, template, wishes);
    const isAsWanted = covers(kept, template) || readMark(live, TEMPLATE) === hashContent(template);
    if (!this.#mayRoll(world, live, isAsWanted)) return { set: marked(wanted, kept, wishes), waits: true };
    // A StatefulSet of an older operator has no marks. It needs no turn if its template is the wanted one.
    const isUnmarked = readMark(live, WISHES) === undefined && covers(readSpec(live).template, template);
    return { set: isUnmarked ? wanted : marked(wanted, template, wishes), waits: false };
  }

  /** Forgets a MailRelay that was deleted. */
  forget(key: string, now: number): void {
    this.#end(key, now);
  }

  #mayRoll({ relay, now }: World, live: KubeObject, isAsWanted: boolean): boolean {
    const key = `${relay.metadata.namespace}/${relay.metadata.name}`;
    if (isAsWanted && !isRolling(live)) {
      this.#end(key, now);
      return true;
    }
    if (!isAsWanted && !this.#turns.has(key) && this.#free(key, now) <= 0) {
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
    let told = 0;
    for (const next of [...this.#waiting]) {
      if (this.#free(next, now) <= told) continue;
      told += 1;
      // A paused relay does not ask. It must not hold up the others.
      this.#waiting.delete(next);
      this.#waiting.add(next);
      this.#onFree(next);
    }
  }

  /** The turns that a relay may still take, as its namespace sees it. */
  #free(key: string, now: number): number {
    const taken = new Map<string, number>();
    for (const [rolling, since] of this.#turns) {
      const namespace = readNamespace(rolling);
      if (now - since < PATIENCE_MS) taken.set(namespace, (taken.get(namespace) ?? 0) + 1);
    }
    const most = Math.ceil(this.#limit / 2);
    const counted = [...taken].map(([namespace, turns]) =>
      namespace === readNamespace(key) ? turns : Math.min(turns, most),
    );
    return this.#limit - counted.reduce((sum, turns) => sum + turns, 0);
  }
}

/** The live template. If the user changed a field of it: the wanted template with the image of the live one. */
function keptTemplate(live: KubeObject, wanted: Template, wishes: Wishes): Template {
  const is = readSpec(live).template;
  if (isAsWished(live, wanted, wishes)) return is;
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

/** A StatefulSet of an older operator lacks a hash. Then the live template tells what its user had wished. */
function isAsWished(live: KubeObject, wanted: Template, wishes: Wishes): boolean {
  const is = readSpec(live).template;
  const [known, ofSidecar] = [readMark(live, WISHES), readMark(live, SIDECAR_WISHES)];
  const mounted = listSources(is);
  const asNoted =
    known === undefined
      ? listSources(wanted).every((source) => mounted.includes(source))
      : known === wishes[WISHES];
  const asNotedOfSidecar =
    ofSidecar === undefined
      ? hasSidecar(is.spec.initContainers) === (wishes[SIDECAR_WISHES] !== undefined)
      : ofSidecar === wishes[SIDECAR_WISHES];
  return asNoted && asNotedOfSidecar;
}

/** The annotation, and what the user says. What is `undefined` is not noted. */
type Wish = readonly [annotation: string, read: (world: World) => object | undefined];

/**
 * What the user says of the pods, by the lines of the restart contract. A line that is not here does not compile. A line
 * that is new has an annotation of its own, because an operator that finds another hash sees a change by the user.
 */
const WISHED: Readonly<Record<FieldsWith<'pods, one at a time'>, Wish>> = {
  'spec.pod': [WISHES, ({ relay: { spec } }) => ({ pod: spec.pod ?? {} })],
  'spec.outbound.resolver.sidecar': [
    SIDECAR_WISHES,
    ({ relay: { spec } }) => spec.outbound?.resolver?.sidecar,
  ],
  'the name of any Secret or ConfigMap in the spec; tls.internal, an entry of tls.certificates, or dns.mtaSTS.serve, added or removed':
    [
      WISHES,
      ({ relay: { metadata, spec }, policy, keys }) => {
        const references = policy ? listReferences(policy) : [];
        return {
          certificate: certificateSecretName(metadata.name, spec) ?? null,
          secrets: listNames(references, 'Secret'),
          configMaps: listNames(references, 'ConfigMap'),
          ...(keys?.next ? { nextCertificate: keys.next.secret } : {}),
        };
      },
    ],
};

/** The hashes do not change with the version of the operator: another one is a reason to roll. */
function hashWishes(world: World): Wishes {
  const said = new Map<string, object>();
  for (const [annotation, read] of Object.values(WISHED)) {
    const wish = read(world);
    if (wish) said.set(annotation, { ...said.get(annotation), ...wish });
  }
  return Object.fromEntries([...said].map(([annotation, wishes]) => [annotation, hashContent(wishes)]));
}

function marked(wanted: Rendered, template: Template, wishes: Wishes): Rendered {
  const annotations = { ...wanted.metadata.annotations, [TEMPLATE]: hashContent(template), ...wishes };
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
