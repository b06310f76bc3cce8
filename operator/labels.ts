/**
 * Gives pods and claims of a relay their labels back. Without that of the manager the caches do not have them. A pod without
 * one of the selector is released by the StatefulSet, which then wants another pod of the same name, and cannot make it;
 * with its labels it is taken back. judge/ownpods.ts says which pod is of the relay; a claim is by its place, and by what it
 * still bears of ours. A pod or a claim of somebody else in such a place is told, and stays as it is. While the caches have all
 * pods of the StatefulSet with their labels, none is looked for. Else two lists ask for pods of the account of the relay
 * without a label, and one asks for the first place that is still empty. Without a StatefulSet only claims are looked for: they
 * say how many places it had.
 * What takes the labels away again, or refuses them, is told; it holds up only what depends on these objects (see
 * judge/holdback.ts).
 */
import { isNumbered, MOST_REPLICAS, parseOrdinal } from '#crds/scalefile.ts';
import { ANNOTATIONS, FIELD_MANAGER } from '#crds/wellknown.ts';
import { type OnWrite, patchIfThere } from './apply.ts';
import { attempt, caught, contentOf, paced, read, type Writer } from './attempt.ts';
import { covers, hasController, isOwnedBy } from './compare.ts';
import { countPlaces, isRead, type SetStatus } from './judge/allseen.ts';
import { isOfSetNamed, isOwnPod } from './judge/ownpods.ts';
import { hasTaken, isCutThrough, isOwnClaim, listPlaces, readMark } from './judge/place.ts';
import { changesSize, type StatefulSetSpec } from './judge/storage.ts';
import type { KeptObject, KubeObject } from './kube/client.ts';
import { apiPath, CLAIM, type Kind, POD, STATEFUL_SET } from './kube/kinds.ts';
import { nameReading } from './paces.ts';
import { managedLabels, objectNames } from './render/metadata.ts';
import { LABELS, type Obstacle, type PodView, type World } from './world.ts';

/** A pod can have a megabyte of annotations. */
const READ_BYTES = 4 * 1024 * 1024;

export interface Restored {
  /** In a fixed order. */
  readonly obstacles: Obstacle[];
  /** True if an object lacks its labels, or did so a moment ago. It is not in this world. */
  readonly isHidden: boolean;
  /** What a StatefulSet that is not there needs for claims that are hidden, or that could not be read. */
  readonly places: number;
}

interface Claimed extends Restored {
  readonly taken: Obstacle[];
}

type Restore = (kind: Kind, live: KubeObject) => Promise<Obstacle[]>;

export async function restoreLabels(world: World, writer: Writer, onWrite: OnWrite): Promise<Restored> {
  const name = `${STATEFUL_SET.kind}/${nameOf(world)}`;
  const set = world.objects.get(name);
  // What the StatefulSet counts, and what it has places for, is not known.
  if (!isRead(world, name)) return { obstacles: [], isHidden: true, places: 0 };
  if (set && !isOwnedBy(set, world.relay)) return { obstacles: [], isHidden: false, places: 0 };
  let isHidden = false;
  const labels = managedLabels(nameOf(world));
  const restore: Restore = (kind, live) => {
    isHidden = true;
    const { uid } = live.metadata;
    const object = `${kind.kind}/${live.metadata.name}`;
    const mark = world.objects.has(object) ? {} : unmarked(live);
    return attempt(writer, `${LABELS}${object}`, [uid, contentOf(live)], async () => {
      const patch = { metadata: { uid, labels, ...mark } };
      if (await patchIfThere(writer, kind, live, patch)) onWrite('patched', object);
    });
  };
  const { taken, obstacles: ofPods } = set
    ? await restorePods(world, writer, set, restore)
    : { taken: [], obstacles: [] };
  const claims = await restoreClaims(world, writer, set, restore);
  const obstacles = [...ofPods, ...claims.obstacles];
  const isUnseen = isHidden || claims.isHidden || obstacles.length > 0;
  const all = [...taken, ...claims.taken, ...obstacles];
  return { obstacles: all, isHidden: isUnseen, places: claims.places };
}

/**
 * Of a claim that the caches lack: nobody has removed its mark for a pod that used it meanwhile. That of a claim that they know
 * with a part of its labels was looked after.
 */
const unmarked = (live: KubeObject) =>
  readMark(live) === undefined ? {} : { annotations: { [ANNOTATIONS.emptied]: null } };

async function restorePods(world: World, writer: Writer, set: KubeObject, restore: Restore) {
  const missing = listMissing(world, set);
  const pods = new Map([...world.objects.values(), ...(world.strangers ?? [])].flatMap(named(world)));
  const look = () => lookFor(writer, world, missing, pods);
  const obstacles = missing.length > 0 ? await attempt(writer, `${LABELS}its pods`, missing, look) : [];
  const found = [...pods.values()].toSorted(
    (a, b) => parseOrdinal(a.metadata.name) - parseOrdinal(b.metadata.name),
  );
  const isOwn = (pod: KubeObject) => isOwnPod(pod, world.relay, world.objects);
  for (const pod of found)
    if (isOwn(pod) && !isLabelled(pod, world)) obstacles.push(...(await restore(POD, pod)));
  const [first] = found.filter(
    (pod) => !isOwn(pod) && isInTheWay(pod, world) && parseOrdinal(pod.metadata.name) < countPlaces(set),
  );
  const taken: Obstacle[] = first
    ? [{ kind: 'nameTaken', object: `${POD.kind}/${first.metadata.name}` }]
    : [];
  return { taken, obstacles };
}

/** The names of pods that the StatefulSet counts or should have, and that the caches lack; by ordinal. */
function listMissing(world: World, set: KubeObject): string[] {
  const { replicas: counted = 0, observedGeneration } = (set['status'] ?? {}) as SetStatus;
  // Before that the controller has not tried to create them.
  const hasTried = observedGeneration !== undefined && observedGeneration === set.metadata.generation;
  const places = hasTried ? Math.max(countPlaces(set), counted) : counted;
  const names = Array.from({ length: places }, (_, n) => `${nameOf(world)}-${n}`);
  const seen = [...world.pods, ...world.leaving].map(({ name }) => name);
  return names.filter((name) => !seen.includes(name));
}

/** Adds to `pods`. By lists, because the operator may not read single pods. */
async function lookFor(
  writer: Writer,
  world: World,
  missing: readonly string[],
  pods: Map<string, KubeObject>,
): Promise<void> {
  const list = async (query: Readonly<Record<string, string>>) => {
    const path = apiPath(POD, world.relay.metadata.namespace);
    const request = { method: 'GET', path, query, mostBytes: READ_BYTES } as const;
    const { items = [] } = await writer.request<{ items?: KubeObject[] }>(request);
    for (const [name, pod] of items.map((item) => ({ ...item, kind: POD.kind })).flatMap(named(world)))
      if (!pods.has(name)) pods.set(name, pod);
  };
  const fieldSelector = `spec.serviceAccountName=${nameOf(world)}`;
  // From the memory of the API server: older ones would read all pods of the namespace for it.
  const account = { fieldSelector, resourceVersion: '0' };
  await list({ ...account, labelSelector: `app.kubernetes.io/managed-by!=${FIELD_MANAGER}` });
  await list({ ...account, labelSelector: `app.kubernetes.io/instance!=${nameOf(world)}` });
  const empty = missing.find((name) => !pods.has(name));
  if (empty !== undefined) await list({ fieldSelector: `metadata.name=${empty}` });
}

/** The pod by its name, if that is one of the relay. */
const named =
  ({ relay }: World) =>
  (object: KubeObject): [string, KubeObject][] =>
    object.kind === POD.kind && isNumbered(object.metadata.name, relay.metadata.name)
      ? [[object.metadata.name, object]]
      : [];

/** Of a pod of somebody else. The StatefulSet takes one with its labels by itself, unless that has another controller. */
function isInTheWay(pod: KubeObject, world: World): boolean {
  if (pod.metadata.deletionTimestamp !== undefined || isOfSetNamed(pod, nameOf(world))) return false;
  return hasController(pod) || !isLabelled(pod, world);
}

async function restoreClaims(
  world: World,
  writer: Writer,
  set: KubeObject | undefined,
  restore: Restore,
): Promise<Claimed> {
  if (!set) return restoreBeyond(world, writer, restore);
  const obstacles: Obstacle[] = [];
  const taken: Obstacle[] = [];
  let isHidden = false;
  for (const name of listHiddenClaims(world, set)) {
    const { state, refused } = await restoreClaim(world, writer, name, restore);
    obstacles.push(...refused);
    if (state === 'taken') taken.push({ kind: 'nameTaken', object: `${CLAIM.kind}/${name}` });
    // A pod that runs on it tells what is in it. So its place stays until there is one that has run and does not end.
    isHidden ||= state === 'own' || (state === 'taken' && !hasTaken(findPodOn(world, name)));
  }
  return { taken, obstacles, isHidden, places: 0 };
}

/**
 * Without a StatefulSet the claims say how many places it had: those beyond the wanted ones, up to the first number that none
 * has. One that is hidden would be lost sight of.
 */
async function restoreBeyond(world: World, writer: Writer, restore: Restore): Promise<Claimed> {
  const { relay, objects } = world;
  // Somebody may have deleted a claim in between.
  const last = Math.max(listPlaces(world).at(-1)?.ordinal ?? -1, (relay.status?.replicas ?? 0) - 1);
  const obstacles: Obstacle[] = [];
  let places = 0;
  for (let n = relay.spec.replicas; n < MOST_REPLICAS && !isCutThrough(relay); n++) {
    const name = `${objectNames.claim(nameOf(world))}-${n}`;
    const claim = objects.get(`${CLAIM.kind}/${name}`);
    if (claim && isLabelled(claim, world)) continue;
    const { state, refused } = await restoreClaim(world, writer, name, restore);
    obstacles.push(...refused);
    if (state === 'own' || state === 'unread') places = n + 1;
    if (n > last && (state === 'absent' || state === 'unread')) break;
  }
  return { taken: [], obstacles, isHidden: places > 0, places };
}

type ClaimState = 'absent' | 'going' | 'own' | 'taken' | 'unread';

function judgeClaim(claim: KubeObject, world: World): ClaimState {
  if (claim.metadata.deletionTimestamp !== undefined) return 'going';
  return isOwnClaim(claim, nameOf(world)) ? 'own' : 'taken';
}

/** What becomes of a claim that the caches lack, or know without a label. */
async function restoreClaim(
  world: World,
  writer: Writer,
  name: string,
  restore: Restore,
): Promise<{ state: ClaimState; refused: Obstacle[] }> {
  const object = `${LABELS}${CLAIM.kind}/${name}`;
  const path = apiPath(CLAIM, world.relay.metadata.namespace, name);
  const refused: Obstacle[] = [];
  let state: ClaimState = 'unread';
  const look = async () => {
    // A label that is taken back pauses all that has the name of its write, and a claim that is not read hides those behind it.
    const claim = await paced(writer, nameReading(object), undefined, () => read(writer, path));
    state = claim ? judgeClaim(claim, world) : 'absent';
    if (claim && state === 'own' && !isLabelled(claim, world)) refused.push(...(await restore(CLAIM, claim)));
  };
  refused.push(...(await caught(object, look)));
  return { state, refused };
}

function findPodOn(world: World, claim: string): PodView | undefined {
  return [...world.pods, ...world.leaving].find(({ name }) => objectNames.claim(name) === claim);
}

/**
 * The claims that the caches lack, or know without a label; by ordinal. Those of pods, and those of places that may be given
 * up, or whose volumes change: such a pod may be away for a moment. And those whose content is still to come.
 */
function listHiddenClaims({ relay, objects, partial = new Map() }: World, set: KubeObject): string[] {
  const { volumeClaimTemplates = [] } = (set['spec'] ?? {}) as Partial<StatefulSetSpec>;
  if (volumeClaimTemplates.length === 0) return [];
  const { replicas: counted = 0 } = (set['status'] ?? {}) as SetStatus;
  const first = changesSize(set, relay) ? 0 : relay.spec.replicas;
  const places = Array.from({ length: Math.max(countPlaces(set), counted) }, (_, n) => n).slice(first);
  const ofPods = [...objects.values()].flatMap(({ kind, metadata }) =>
    kind === POD.kind ? [parseOrdinal(metadata.name)] : [],
  );
  const prefix = objectNames.claim(relay.metadata.name);
  const coming = [...partial.values()].filter(
    (one) => one.kind === CLAIM.kind && isNumbered(one.metadata.name, prefix) && isLabelled(one, { relay }),
  );
  const ofComing = coming.map(({ metadata }) => parseOrdinal(metadata.name));
  return [...new Set([...ofPods, ...places, ...ofComing])]
    .toSorted((a, b) => a - b)
    .map((ordinal) => `${prefix}-${ordinal}`)
    .filter((name) => {
      const claim = objects.get(`${CLAIM.kind}/${name}`);
      return !claim || !isLabelled(claim, { relay });
    });
}

/** An object that goes needs no labels. */
function isLabelled({ metadata }: KeptObject, world: Pick<World, 'relay'>): boolean {
  return metadata.deletionTimestamp !== undefined || covers(metadata.labels, managedLabels(nameOf(world)));
}

const nameOf = ({ relay }: Pick<World, 'relay'>) => relay.metadata.name;
