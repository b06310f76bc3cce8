/**
 * Gives pods and claims of a relay their labels back, without which the caches do not have them. The StatefulSet still
 * counts such a pod, and nobody else repairs it. What proves the owner is the StatefulSet: its uid at the pod, and for a
 * claim such a pod, which uses the claim of its number. Nothing is read while the caches have all that the StatefulSet
 * counts, and a few objects at most in one look. What takes the labels away again, or refuses them, is told; it holds up
 * only what depends on these objects (see judge/holdback.ts).
 */
import { parseOrdinal } from '#crds/scalefile.ts';
import { attempt, mergePatch, type OnWrite, read, type Writer } from './apply.ts';
import { covers } from './compare.ts';
import { isPartial } from './kept.ts';
import type { KubeObject } from './kube/client.ts';
import { KubeError } from './kube/errors.ts';
import { apiPath, CLAIM, type Kind, POD, STATEFUL_SET } from './kube/kinds.ts';
import { managedLabels, objectNames } from './render/metadata.ts';
import { LABELS, type Obstacle, type World } from './world.ts';

const MOST_READS = 4;
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
  const obstacles: Obstacle[] = [];
  const attemptAll = async (
    kind: Kind,
    names: readonly string[],
    find: (name: string) => Promise<KubeObject | undefined>,
  ) => {
    for (const name of names.slice(0, MOST_READS)) {
      const restored = async () => restore(kind, await find(name));
      obstacles.push(...(await attempt(`${LABELS}${kind.kind}/${name}`, restored)));
    }
  };
  await attemptAll(POD, listHiddenPods(world, set), (name) => readPod(writer, world, name, set));
  await attemptAll(CLAIM, listHiddenClaims(world, set), (name) =>
    read(writer, apiPath(CLAIM, world.relay.metadata.namespace, name)),
  );
  return { obstacles, isHidden: isHidden || obstacles.length > 0 };
}

/** Pods that the StatefulSet counts, and the caches lack. */
function listHiddenPods({ pods, leaving, ...world }: World, set: KubeObject): string[] {
  const { replicas: counted = 0 } = (set['status'] ?? {}) as { replicas?: number };
  const { replicas: places = 0 } = (set['spec'] ?? {}) as { replicas?: number };
  const seen = new Set([...pods, ...leaving].map(({ name }) => name));
  if (seen.size >= counted) return [];
  const names = Array.from({ length: Math.max(places, counted) }, (_, n) => `${nameOf(world)}-${n}`);
  return names.filter((name) => !seen.has(name));
}

/** Claims of pods of the StatefulSet that the caches lack. */
function listHiddenClaims(world: Pick<World, 'relay' | 'objects'>, set: KubeObject): string[] {
  const { volumeClaimTemplates = [] } = (set['spec'] ?? {}) as { volumeClaimTemplates?: readonly unknown[] };
  if (volumeClaimTemplates.length === 0) return [];
  return [...world.objects.values()]
    .filter((pod) => pod.kind === POD.kind && isOf(pod, set))
    .map(({ metadata }) => `${objectNames.claim(nameOf(world))}-${parseOrdinal(metadata.name)}`)
    .filter((name) => !world.objects.has(`${CLAIM.kind}/${name}`));
}

/** By a list, because the operator may not read single pods. */
async function readPod(
  writer: Writer,
  { relay }: World,
  name: string,
  set: KubeObject,
): Promise<KubeObject | undefined> {
  const { items = [] } = await writer.request<{ items?: KubeObject[] }>({
    method: 'GET',
    path: apiPath(POD, relay.metadata.namespace),
    query: { fieldSelector: `metadata.name=${name}` },
    mostBytes: READ_BYTES,
  });
  return items.find((pod) => pod.metadata.name === name && isOf(pod, set));
}

function isOf({ metadata }: KubeObject, set: KubeObject): boolean {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  return owner !== undefined && owner.uid === set.metadata.uid;
}

/** An object that goes needs no labels. */
function isLabelled({ metadata }: KubeObject, world: World): boolean {
  return metadata.deletionTimestamp !== undefined || covers(metadata.labels, managedLabels(nameOf(world)));
}

const nameOf = ({ relay }: Pick<World, 'relay'>) => relay.metadata.name;
