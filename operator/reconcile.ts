/**
 * Reconciles one MailRelay: gather the world, judge it, render the wanted objects, apply the differences, report once.
 * A second reconcile of the same world writes nothing. Throws after a failure that a retry may mend; the status reports
 * it if the API server answers. A fault that only a person can mend is in the status alone.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import type { Policy } from '#crds/policyfile.ts';
import { ANNOTATIONS, FIELD_MANAGER, SERVING_LABEL } from '#crds/wellknown.ts';
import { Answers } from './answers.ts';
import { applyAll, patchIfThere } from './apply.ts';
import { attempt, contentOf, paced, type Writer } from './attempt.ts';
import { settleClaims, unmarkClaims } from './claims.ts';
import { ReadEvents } from './complaints.ts';
import { type Installation, isPaused, stampFor, withStamp } from './installation.ts';
import { isRead } from './judge/allseen.ts';
import { wantsIssuer } from './judge/certificate.ts';
import { holdObject, holdScaling, isLeft, type Refused } from './judge/holdback.ts';
import { isReplacing } from './judge/pods.ts';
import { planScaling, type Scaling } from './judge/scaling.ts';
import { withoutTaken } from './judge/secrets.ts';
import { relabelled } from './judge/serving.ts';
import type { KubeError } from './kube/errors.ts';
import { apiPath, CLAIM, CONFIG_MAP, MAIL_RELAY, POD, STATEFUL_SET } from './kube/kinds.ts';
import { restoreLabels } from './labels.ts';
import type { Refresher } from './pods/refresh.ts';
import { listRecords } from './records/list.ts';
import { describeMarks, nextLookMs } from './records/rollover.ts';
import { joinAuthorities } from './render/authority.ts';
import { type Rendered, type RenderSettings, renderAll } from './render/index.ts';
import { objectNames } from './render/metadata.ts';
import { renderStatus } from './report/status.ts';
import type { Rollouts } from './rollouts.ts';
import { type Reporting, STATUS, tellStatus } from './tellstatus.ts';
import { confirming } from './wish.ts';
import { type Obstacle, type PodView, REFRESH, type World } from './world.ts';

const BLOCKED_MS = 30_000;
/**
 * The pause before another look at a deletion that no watch reports. The end of a watched object comes by its watch.
 */
const UNWATCHED_MS = 5_000;
/**
 * The pause of a relay that waits for its turn. It is called when a turn is free, but not when the patience with
 * another relay ends.
 */
const TURN_MS = 60_000;

export interface Deps extends Reporting {
  readonly settings: RenderSettings;
  readonly refresher: Refresher;
  readonly rollouts: Rollouts;
  /** Without this field the events of a namespace are read as often as they are wanted. */
  readonly readEvents?: ReadEvents;
}

/** The work that is left for later. */
export interface Reconciled {
  readonly lookAgainMs: number | undefined;
  /** Of a write that a retry may mend. Nothing else waits for it. */
  readonly failure: KubeError | undefined;
}

export async function reconcile(world: World, deps: Deps): Promise<Reconciled> {
  if (isPaused(world.relay)) return { lookAgainMs: undefined, failure: undefined };
  const confirmed = { ...deps, writer: confirming(deps.writer, world.relay) };
  const applied = world.policy ? await apply(world, confirmed) : [];
  if (!world.asked) return { lookAgainMs: undefined, failure: findFailure(applied) };
  const { obstacles: untouched, lookAgainMs } = await refresh(world, confirmed);
  const obstacles = [...applied, ...untouched];
  deps.writer.paces?.forgetOthers(STATUS);
  const { readEvents = new ReadEvents(() => performance.now()) } = deps;
  const { complaints, isOpen } = await readEvents.complaints(deps.writer, world);
  await report({ ...world, complaints }, obstacles, deps);
  const pauses = [
    lookAgainMs,
    blockedFor(world, obstacles),
    isOpen ? BLOCKED_MS : undefined,
    world.keys && nextLookMs(world.keys, world.now),
    deps.answers?.lookAgainMs(world.objects.values(), world.now),
  ].filter((ms) => ms !== undefined);
  return {
    lookAgainMs: pauses.length > 0 ? Math.min(...pauses) : undefined,
    failure: findFailure(obstacles),
  };
}

/** The first one: the queue tries again with growing pauses. */
function findFailure(obstacles: readonly Obstacle[]): KubeError | undefined {
  return obstacles.find((obstacle) => obstacle.kind === 'failed')?.error;
}

/**
 * The pause while a quota, a foreign object or a missing CRD is in the way, or a kind is read by name: no watch of ours reports
 * when it goes.
 */
function blockedFor(world: World, obstacles: readonly Obstacle[]): number | undefined {
  const { relay, absentKinds, readByName = [] } = world;
  if (obstacles.some(({ kind, object }) => kind === 'going' && !isWatched(world, object)))
    return UNWATCHED_MS;
  if (readByName.length > 0) return BLOCKED_MS;
  if (obstacles.some(({ kind }) => kind === 'waitsForTurn')) return TURN_MS;
  const lacksCertManager = wantsIssuer(relay) && absentKinds.includes('Certificate');
  return obstacles.length > 0 || lacksCertManager ? BLOCKED_MS : undefined;
}

/** False if somebody removed the labels of the object before it was deleted. Then its watch does not report the end. */
function isWatched({ objects, partial, lacking }: World, object: string): boolean {
  if (partial?.has(object)) return true;
  return (
    objects.has(object) && !lacking?.found.some(({ kind, metadata }) => `${kind}/${metadata.name}` === object)
  );
}

async function apply(world: World, deps: Deps): Promise<Obstacle[]> {
  const { policy } = world;
  const { writer, answers = new Answers(), onWrite } = deps;
  if (!policy) return [];
  const { obstacles: unlabelled, isHidden, places } = await restoreLabels(world, writer, onWrite);
  const planned = planScaling(world);
  const marked = await unmarkClaims(writer, planned, onWrite);
  // The labels come before the Services, which select by them, and before the scale file, which tells a pod to leave.
  const labelled: Obstacle[] = [];
  const due = relabelled(world);
  const now = due.filter(({ pod, serving }) => serving === 'false' || !isMarked(pod, marked));
  for (const { pod, serving } of now) {
    const label = () => patchPod(podName(pod), pod, { labels: { [SERVING_LABEL]: serving } }, world, deps);
    const basis = [pod.uid, serving, contentOf(world.objects.get(podName(pod)))];
    labelled.push(...(await attempt(writer, podName(pod), basis, label)));
  }
  const refused = {
    labels: isHidden,
    places,
    serving: labelled.length > 0,
    marks: marked.map(({ object }) => object),
  };
  const scaling = holdScaling(world, planned, refused);
  const { wanted, obstacles: held } = plan(world, policy, scaling, refused, deps);
  const left = (object: Rendered) => isLeft(world, object, refused);
  const applied = await applyAll(writer, answers, world, { wanted, isLeft: left }, onWrite);
  const settled = await settleClaims(writer, scaling, onWrite);
  const unread = world.lacking?.unread ?? [];
  return [...unread, ...unlabelled, ...marked, ...labelled, ...held, ...applied, ...settled];
}

/** The wanted objects, and why some of them are not as the spec says. */
function plan(
  world: World,
  policy: Policy,
  scaling: Scaling,
  refused: Refused,
  { settings, rollouts }: Deps,
): { wanted: Rendered[]; obstacles: Obstacle[] } {
  const { relay } = world;
  const rendered = renderAll(relay, policy, settings, {
    authority: joinAuthorities(world),
    replicas: scaling.replicas,
    records: listRecords(world),
    marks: world.keys && describeMarks(world, world.keys),
    keys: world.keys,
    objects: world.objects,
  });
  const waiting: Obstacle[] = [];
  // Of a kind that cannot be listed nothing is written: one of the name may be there, or one for the same Secret.
  const known = rendered.filter(({ kind }) => !world.unlisted?.some((one) => one.kind === kind));
  const { kept, taken } = withoutTaken(world, known);
  const wanted = kept.map((unstamped) => {
    const object = withStamp(holdObject(world, unstamped, refused), relay);
    if (object.kind !== STATEFUL_SET.kind) return object;
    const { set, waits } = rollouts.inTurn(world, object);
    if (waits) waiting.push({ kind: 'waitsForTurn', object: `${set.kind}/${set.metadata.name}` });
    return set;
  });
  return { wanted, obstacles: [...taken, ...waiting] };
}

async function refresh(
  world: World,
  deps: Deps,
): Promise<{ obstacles: Obstacle[]; lookAgainMs: number | undefined }> {
  // Where the ConfigMap is left as it is, there is nothing that a pod should read sooner.
  if (!isRead(world, `${CONFIG_MAP.kind}/${objectNames.policy(world.relay.metadata.name)}`))
    return { obstacles: [], lookAgainMs: undefined };
  const { touches, lookAgainMs } = deps.refresher.plan(world);
  const obstacles: Obstacle[] = [];
  for (const { pod, wanted, value } of touches) {
    const changes = { annotations: { [ANNOTATIONS.refresh]: value } };
    const object = `${REFRESH}${podName(pod)}`;
    const touch = () => patchPod(object, pod, changes, world, deps);
    // A later attempt at the same is no other write.
    const basis = [pod.uid, wanted, contentOf(world.objects.get(podName(pod)))];
    obstacles.push(...(await attempt(deps.writer, object, basis, touch)));
  }
  return { obstacles, lookAgainMs };
}

/** True if the mark of its claim could not be removed. No client is sent to such a pod. */
function isMarked({ name }: PodView, marked: readonly Obstacle[]): boolean {
  return marked.some(({ object }) => object === `${CLAIM.kind}/${objectNames.claim(name)}`);
}

const podName = ({ name }: PodView) => `${POD.kind}/${name}`;

async function patchPod(
  object: string,
  { name, uid }: PodView,
  changes: object,
  { relay }: World,
  { writer, onWrite }: Deps,
): Promise<void> {
  const { namespace } = relay.metadata;
  const patch = { metadata: { uid, ...changes } };
  if (await patchIfThere(writer, POD, { metadata: { name, namespace } }, patch)) onWrite('patched', object);
}

async function report(world: World, obstacles: readonly Obstacle[], deps: Deps): Promise<void> {
  const { relay } = world;
  const { installation, className } = relay.status ?? {};
  const stamp = { ...(installation ? { installation } : {}), ...(className ? { className } : {}) };
  const status = { ...renderStatus({ ...world, obstacles }), ...stamp };
  await tellStatus(relay, { status, isReplaced: isReplacing(world), now: world.now }, deps);
}

/**
 * Stamps the MailRelay before any other write, and only the version that was read: of two operators only one succeeds.
 */
export function stampRelay(writer: Writer, relay: MailRelay, installation: Installation): Promise<unknown> {
  const { name, namespace, uid, resourceVersion } = relay.metadata;
  const status = stampFor(relay, installation);
  return paced(writer, 'stamp', { uid, status, resourceVersion }, () =>
    writer.request({
      method: 'PATCH',
      path: `${apiPath(MAIL_RELAY, namespace, name)}/status`,
      query: { fieldManager: FIELD_MANAGER },
      contentType: 'application/merge-patch+json',
      body: { metadata: { uid, resourceVersion }, status },
    }),
  );
}
