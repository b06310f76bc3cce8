/**
 * Makes the objects of one MailRelay as wanted: applies (server side) an object that differs, and deletes an object
 * that we own and no longer want. Never takes over an object of someone else. If the API server refuses or fails at an
 * object, the result has an obstacle and the other objects go on. If the API server does not answer, the function
 * throws.
 */
import { ANNOTATIONS, FIELD_MANAGER } from '#crds/wellknown.ts';
import type { Answers } from './answers.ts';
import { attempt, caught, contentOf, paced, read, readFor, type Writer } from './attempt.ts';
import { hasController, isGoing, isOwnedBy, stamped } from './compare.ts';
import { isOwnClaim } from './judge/place.ts';
import { keepClaims, planStorage, type StatefulSetSpec, type StoragePlan } from './judge/storage.ts';
import { listed } from './judge/words.ts';
import type { KeptObject, KubeObject } from './kube/client.ts';
import { isKubeError, KubeError } from './kube/errors.ts';
import { apiPath, CLAIM, type Kind, OWNED, STATEFUL_SET } from './kube/kinds.ts';
import { isPartial } from './kube/partial.ts';
import type { Rendered } from './render/index.ts';
import type { Obstacle, World } from './world.ts';

/** Is called for each write, with the line for the log. */
export type OnWrite = (verb: 'applied' | 'deleted' | 'patched', object: string) => void;

interface Plan {
  readonly wanted: readonly Rendered[];
  /** True for an object that stays as it is for now. */
  readonly isLeft: (object: Rendered) => boolean;
}

export async function applyAll(
  writer: Writer,
  answers: Answers,
  world: World,
  { wanted, isLeft }: Plan,
  onWrite: OnWrite,
): Promise<Obstacle[]> {
  const obstacles: Obstacle[] = [];
  for (const object of wanted) {
    if (world.absentKinds.includes(object.kind) || isLeft(object)) continue;
    const apply = async () => {
      const obstacle = await applyOne(writer, answers, world, object, onWrite);
      if (obstacle) obstacles.push(obstacle);
    };
    obstacles.push(...(await caught(nameOf(object), apply)));
  }
  return [...obstacles, ...(await prune(writer, world, wanted, onWrite))];
}

const nameOf = ({ kind, metadata }: Rendered) => `${kind}/${metadata.name}`;

async function applyOne(
  writer: Writer,
  answers: Answers,
  world: World,
  wanted: Rendered,
  onWrite: OnWrite,
): Promise<Obstacle | undefined> {
  const kind = findKind(wanted);
  const name = nameOf(wanted);
  const path = apiPath(kind, wanted.metadata.namespace, wanted.metadata.name);
  const cached = world.objects.get(name);
  // The caches hold only objects with our label. An object that they lack may exist and belong to somebody else.
  const live = cached && !isPartial(cached) ? cached : await readFor(writer, name, [wanted], path);
  // The watch reports the end of this object, and then the next look creates a new one.
  if (live && isGoing(live, world.relay)) return { kind: 'going', object: name };
  const stamp = live?.metadata.annotations?.[ANNOTATIONS.installation];
  if (live && !hasController(live) && stamp !== undefined && stamp !== world.relay.status?.installation)
    return { kind: 'otherInstallation', object: name, installation: stamp };
  if (live && !isOwnedBy(live, world.relay)) return { kind: 'nameTaken', object: name };
  if (live && answers.stands(live, wanted, world.now)) return undefined;
  const storage = live && kind === STATEFUL_SET ? planStorage(world, live, wanted) : undefined;
  const claims = storage?.kind === 'changes' ? storage.claims.map(({ claim }) => contentOf(claim)) : [];
  const basis = [[wanted, ...claims], contentOf(live)];
  return paced(writer, name, basis, () => write(writer, answers, world, { wanted, live, storage }, onWrite));
}

interface Judged {
  readonly wanted: Rendered;
  readonly live: KubeObject | undefined;
  readonly storage: StoragePlan | undefined;
}

async function write(
  writer: Writer,
  answers: Answers,
  world: World,
  { wanted, live, storage }: Judged,
  onWrite: OnWrite,
): Promise<Obstacle | undefined> {
  const kind = findKind(wanted);
  const name = nameOf(wanted);
  const path = apiPath(kind, wanted.metadata.namespace, wanted.metadata.name);
  const claim = kind === STATEFUL_SET ? await foreignClaim(writer, world, wanted) : undefined;
  if (claim !== undefined) return { kind: 'nameTaken', object: claim };
  // First the other fields: nothing is deleted for a StatefulSet that the API server would then refuse.
  const target = live && storage ? keepClaims(live, wanted) : wanted;
  if (storage?.kind !== 'shrinks' || !live || !answers.stands(live, target, world.now)) {
    answers.note(target, await send(writer, path, target, live), world.now);
    onWrite('applied', name);
  }
  if (storage?.kind === 'shrinks') return storage;
  if (!live || !storage) return undefined;
  await changeStorage(writer, live, storage, onWrite);
  return { kind: 'going', object: name };
}

/**
 * Applies to the object that was read, by its uid. If there was none, it applies without force, so that an object that
 * somebody created meanwhile is a conflict and is not taken over.
 */
async function send(
  writer: Writer,
  path: string,
  wanted: Rendered,
  live: KubeObject | undefined,
): Promise<KubeObject> {
  const body = stamped(wanted);
  return writer.request<KubeObject>({
    method: 'PATCH',
    path,
    query: { fieldManager: FIELD_MANAGER, ...(live ? { force: 'true' } : {}) },
    contentType: 'application/apply-patch+yaml',
    body: live ? { ...body, metadata: { ...body.metadata, uid: live.metadata.uid } } : body,
  });
}

/** The first claim that is not of this relay. A StatefulSet uses any claim of the right name, with the data on it. */
async function foreignClaim(
  writer: Writer,
  { objects, relay }: World,
  wanted: Rendered,
): Promise<string | undefined> {
  const { name: relayName, namespace } = relay.metadata;
  for (const claim of claimNames(wanted)) {
    const object = `${CLAIM.kind}/${claim}`;
    if (objects.has(object)) continue;
    const live = await read(writer, apiPath(CLAIM, namespace, claim));
    if (live && !isOwnClaim(live, relayName)) return object;
  }
  return undefined;
}

function claimNames({ metadata, spec }: Rendered): string[] {
  const { replicas, volumeClaimTemplates = [] } = spec as StatefulSetSpec;
  return volumeClaimTemplates.flatMap((template) =>
    Array.from({ length: replicas }, (_, n) => `${template.metadata.name}-${metadata.name}-${n}`),
  );
}

/**
 * Changes the size of the claims. Claim templates cannot change, so the claims are patched and the StatefulSet is
 * deleted without its pods; when it is gone, the next look creates a new one. Each step can be repeated.
 */
async function changeStorage(
  writer: Writer,
  live: KubeObject,
  { claims, size }: Extract<StoragePlan, { kind: 'changes' }>,
  onWrite: OnWrite,
): Promise<void> {
  for (const { claim, granted } of claims) {
    const spec = { resources: { requests: { storage: size } } };
    const note =
      granted === undefined ? {} : { metadata: { annotations: { [ANNOTATIONS.granted]: granted } } };
    await mergePatch(writer, CLAIM, claim, { ...note, spec });
    onWrite('patched', `${CLAIM.kind}/${claim.metadata.name}`);
  }
  await remove(writer, STATEFUL_SET, live, onWrite, 'Orphan');
}

async function prune(
  writer: Writer,
  world: World,
  wanted: readonly Rendered[],
  onWrite: OnWrite,
): Promise<Obstacle[]> {
  const obstacles: Obstacle[] = [];
  const names = new Set(wanted.map(nameOf));
  const all: [string, KeptObject][] = [...world.objects, ...(world.partial ?? [])];
  for (const [name, object] of all.toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const kind = OWNED.find((known) => known.kind === object.kind);
    if (!kind || names.has(name) || object.metadata.deletionTimestamp) continue;
    if (!isOwnedBy(object, world.relay)) continue;
    obstacles.push(
      ...(await attempt(writer, name, ['remove', contentOf(object)], () =>
        remove(writer, kind, object, onWrite),
      )),
    );
  }
  return obstacles;
}

/**
 * Deletes exactly the version of the object that was judged: not a later object of the same name, and not a version
 * that another leader has written since and may want. Such a change comes by the watch, and the object is judged again.
 */
export async function remove(
  writer: Writer,
  kind: Kind,
  { metadata }: KeptObject,
  onWrite: OnWrite,
  propagationPolicy: 'Orphan' | 'Background' = 'Background',
): Promise<void> {
  const { namespace, name, uid, resourceVersion } = metadata;
  try {
    await writer.request({
      method: 'DELETE',
      path: apiPath(kind, namespace, name),
      body: {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        propagationPolicy,
        preconditions: { uid, resourceVersion },
      },
    });
    onWrite('deleted', `${kind.kind}/${name}`);
  } catch (error) {
    if (!isKubeError(error, 'notFound', 'conflict')) throw error;
  }
}

/** Labels and annotations to set, or to remove where they are null; and fields of the spec. */
interface Patch {
  readonly metadata?: {
    readonly uid?: string | undefined;
    readonly resourceVersion?: string | undefined;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string | null>>;
  };
  readonly spec?: object;
}

/**
 * Changes single fields of an object that the operator does not own. Labels and annotations are what later steps are judged by,
 * so the answer must have them: a webhook may take them away from a write that succeeds.
 */
export async function mergePatch(
  writer: Writer,
  kind: Kind,
  { metadata }: { readonly metadata: { readonly name: string; readonly namespace?: string } },
  patch: Patch,
): Promise<KubeObject> {
  const answer = await writer.request<KubeObject>({
    method: 'PATCH',
    path: apiPath(kind, metadata.namespace, metadata.name),
    query: { fieldManager: FIELD_MANAGER },
    contentType: 'application/merge-patch+json',
    body: patch,
  });
  const undone = [...listUndone('labels', answer, patch), ...listUndone('annotations', answer, patch)];
  if (undone.length === 0) return answer;
  throw new KubeError('undone', `something takes back what was written, by the answer: ${listed(undone)}`);
}

function listUndone(field: 'labels' | 'annotations', answer: KubeObject, { metadata }: Patch): string[] {
  const stored = answer.metadata?.[field] ?? {};
  const wanted = Object.entries<string | null>(metadata?.[field] ?? {});
  return wanted.flatMap(([name, value]) => ((stored[name] ?? null) === value ? [] : [name]));
}

/** The same; undefined if the object is gone or is another one by now. The newer one is looked at by itself. */
export async function patchIfThere(...given: Parameters<typeof mergePatch>): Promise<KubeObject | undefined> {
  try {
    return await mergePatch(...given);
  } catch (error) {
    if (!isKubeError(error, 'notFound', 'conflict')) throw error;
    return undefined;
  }
}

function findKind({ kind }: Rendered): Kind {
  const known = OWNED.find((candidate) => candidate.kind === kind);
  if (!known) throw new TypeError(`${kind} is not among the kinds that the operator owns`);
  return known;
}
