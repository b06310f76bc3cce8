/**
 * Gives pods and claims of a relay their labels back. Without that of the manager the caches do not have them. A pod without
 * one of the selector is released by the StatefulSet, which then wants another pod of the same name, and cannot make it;
 * with its labels it is taken back. What proves the owner is the StatefulSet: its uid at the pod, or, of a released pod, its
 * revision and the claim of the number; and for a claim such a pod. A pod that proves nothing has our name, and is told.
 * Nothing is read while the caches have all pods of the StatefulSet with their labels, and a few objects at most in one
 * look. What takes the labels away again, or refuses them, is told; it holds up only what depends on these objects (see
 * judge/holdback.ts).
 */
import { parseOrdinal } from '#crds/scalefile.ts';
import { attempt, mergePatch, type OnWrite, read, type Writer } from './apply.ts';
import { covers, hasController } from './compare.ts';
import { REVISION_LABEL } from './judge/refusals.ts';
import type { StatefulSetSpec } from './judge/storage.ts';
import { isPartial } from './kept.ts';
import type { KubeObject } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { apiPath, CLAIM, type Kind, POD, STATEFUL_SET } from './kube/kinds.ts';
import { managedLabels, objectNames } from './render/metadata.ts';
import { LABELS, type Obstacle, type World } from './world.ts';

const MOST_READS = 4;
/** A relay that lacks pods is looked at this often. */
const TURN_MS = 30_000;
/** A pod can have a megabyte of annotations. */
const READ_BYTES = 4 * 1024 * 1024;
const STRIPPED = 'the answer to their patch lacks them, so something takes them away';

export interface Restored {
  readonly obstacles: Obstacle[];
  /** True if an object lacks its labels, or did so a moment ago. It is not in this world. */
  readonly isHidden: boolean;
}

export async function restoreLabels(world: World, writer: Writer, onWrite: OnWrite): Promise<Restored> {
  const set = world.objects.get(`${STATEFUL_SET.kind}/${world.relay.metadata.name}`);
  if (!set || isPartial(set)) return { obstacles: [], isHidden: false };
  let isHidden = false;
  const restore = async (kind: Kind, live: KubeObject | undefined) => {
    if (!live || isLabelled(live, world)) return;
    isHidden = true;
    const { uid, name } = live.metadata;
    const labels = managedLabels(nameOf(world));
    const answer = await mergePatch(writer, kind, live, { metadata: { uid, labels } });
    if (!covers(answer?.metadata?.labels, labels)) throw new KubeError('invalid', STRIPPED, 422);
    onWrite('patched', `${kind.kind}/${name}`);
  };
  const taken: Obstacle[] = [];
  const pods = await attemptAll(world, writer, POD, listHiddenPods(world, set), async (name) => {
    const pod = await readPod(writer, world, name);
    if (!pod || isControlledBy(pod, set) || isReleasedBy(pod, set)) return restore(POD, pod);
    const isInTheWay = !isLabelled(pod, world) && parseOrdinal(name) < countPlaces(set);
    if (isInTheWay) taken.push({ kind: 'nameTaken', object: `${POD.kind}/${name}` });
  });
  const claims = await attemptAll(world, writer, CLAIM, listHiddenClaims(world, set), async (name) =>
    restore(CLAIM, await read(writer, apiPath(CLAIM, world.relay.metadata.namespace, name))),
  );
  const obstacles = [...taken, ...pods, ...claims];
  return { obstacles, isHidden: isHidden || obstacles.length > 0 };
}

/** A few reads at most. One that waits for its pause is not read. */
async function attemptAll(
  { objects, now }: World,
  writer: Writer,
  kind: Kind,
  names: readonly string[],
  restore: (name: string) => Promise<void>,
): Promise<Obstacle[]> {
  const obstacles: Obstacle[] = [];
  let reads = 0;
  for (const name of inTurn(names, now)) {
    if (reads === MOST_READS) break;
    const object = `${kind.kind}/${name}`;
    const known = objects.get(object)?.metadata;
    const restored = async () => {
      reads++;
      await restore(name);
    };
    obstacles.push(...(await attempt(writer, `${LABELS}${object}`, [known?.uid, known?.labels], restored)));
  }
  return obstacles;
}

/** Begins with others after a while, so that objects which are not there hide none behind them. */
function inTurn(names: readonly string[], now: number): string[] {
  const first = (Math.floor(now / TURN_MS) * MOST_READS) % Math.max(names.length, 1);
  return [...names.slice(first), ...names.slice(0, first)];
}

/** Pods that the StatefulSet counts or should have, and that the caches lack, or know without a label. */
function listHiddenPods({ pods, leaving, objects, ...world }: World, set: KubeObject): string[] {
  const { replicas: counted = 0, observedGeneration } = (set['status'] ?? {}) as SetStatus;
  const places = countPlaces(set);
  const seen = [...pods, ...leaving].map(({ name }) => name);
  const stripped = seen.filter((name) => {
    const pod = objects.get(`${POD.kind}/${name}`);
    return pod !== undefined && !isLabelled(pod, world);
  });
  // Before that the controller has not tried to create them.
  const hasTried = observedGeneration !== undefined && observedGeneration === set.metadata.generation;
  const wanted = hasTried ? Math.max(places, counted) : counted;
  if (seen.length >= wanted) return stripped;
  const names = Array.from({ length: Math.max(places, counted) }, (_, n) => `${nameOf(world)}-${n}`);
  return [...stripped, ...names.filter((name) => !seen.includes(name))];
}

function countPlaces(set: KubeObject): number {
  return ((set['spec'] ?? {}) as Partial<StatefulSetSpec>).replicas ?? 0;
}

interface SetStatus {
  readonly replicas?: number;
  readonly observedGeneration?: number;
  readonly currentRevision?: string;
  readonly updateRevision?: string;
}

/** Claims of pods of the StatefulSet that the caches lack, or know without a label. */
function listHiddenClaims(world: Pick<World, 'relay' | 'objects'>, set: KubeObject): string[] {
  const { volumeClaimTemplates = [] } = (set['spec'] ?? {}) as { volumeClaimTemplates?: readonly unknown[] };
  if (volumeClaimTemplates.length === 0) return [];
  return [...world.objects.values()]
    .filter((pod) => pod.kind === POD.kind && isControlledBy(pod, set))
    .map(({ metadata }) => `${objectNames.claim(nameOf(world))}-${parseOrdinal(metadata.name)}`)
    .filter((name) => {
      const claim = world.objects.get(`${CLAIM.kind}/${name}`);
      return !claim || !isLabelled(claim, world);
    });
}

/** By a list, because the operator may not read single pods. */
async function readPod(writer: Writer, { relay }: World, name: string): Promise<KubeObject | undefined> {
  const { items = [] } = await writer.request<{ items?: KubeObject[] }>({
    method: 'GET',
    path: apiPath(POD, relay.metadata.namespace),
    query: { fieldSelector: `metadata.name=${name}` },
    mostBytes: READ_BYTES,
  });
  return items.find((pod) => pod.metadata.name === name);
}

function isControlledBy({ metadata }: KubeObject, set: KubeObject): boolean {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  return owner !== undefined && owner.uid === set.metadata.uid;
}

/** True if the pod has no controller, and was made of the template of this StatefulSet for the claim of its number. */
function isReleasedBy({ metadata, spec }: KubeObject, set: KubeObject): boolean {
  const { currentRevision, updateRevision } = (set['status'] ?? {}) as SetStatus;
  const { volumeClaimTemplates = [] } = (set['spec'] ?? {}) as Partial<StatefulSetSpec>;
  const { volumes = [], serviceAccountName } = (spec ?? {}) as PodSpec;
  const claims = volumes.map(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName);
  const revision = metadata.labels?.[REVISION_LABEL];
  return (
    !hasController({ metadata }) &&
    revision !== undefined &&
    (revision === currentRevision || revision === updateRevision) &&
    serviceAccountName === set.metadata.name &&
    volumeClaimTemplates.every((template) => claims.includes(`${template.metadata.name}-${metadata.name}`))
  );
}

interface PodSpec {
  readonly serviceAccountName?: string;
  readonly volumes?: readonly { readonly persistentVolumeClaim?: { readonly claimName?: string } }[];
}

/** An object that goes needs no labels. */
function isLabelled({ metadata }: KubeObject, world: Pick<World, 'relay'>): boolean {
  return metadata.deletionTimestamp !== undefined || covers(metadata.labels, managedLabels(nameOf(world)));
}

const nameOf = ({ relay }: Pick<World, 'relay'>) => relay.metadata.name;
