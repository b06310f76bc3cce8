/**
 * The checks of the pods: whether they run (else the reason, in the words of Kubernetes), whether they are being
 * replaced, and whether they answer. A pod that is ready for the kubelet and does not answer the operator most likely
 * serves: its last report counts. Pure.
 */
import { ADMIN_PORT } from '#crds/wellknown.ts';
import type { KubeObject } from '../kube/client.ts';
import type { Complaint, PodView, World } from '../world.ts';
import { policyPending } from './checks.ts';
import { type Check, is, type Judged } from './finding.ts';
import { findCure, NO_CLASS } from './kubecures.ts';
import { counted, countedAmong, every, listed, quoted, verb } from './words.ts';

/**
 * Events whose cause does not go away by waiting. A webhook that refuses is a rule; one that is away comes back. They
 * are of claims and of the StatefulSet: what a kubelet may not do for a pod, it may do a moment later.
 */
const STUCK_COMPLAINTS = new RegExp(
  `${NO_CLASS.source}|no storage class is set|exceeded quota|forbidden|denied the request|is invalid:`,
  'i',
);

/** A pod cannot run, or Kubernetes refuses to create it, and waiting does not help. */
export const podsStuck: Check = (world) => {
  const found = findFault(world);
  return found?.isStuck && readyPods(world) < world.relay.spec.replicas
    ? notReady(world, found.text, 'True')
    : undefined;
};

export const podsNotReady: Check = (world) => {
  const { replicas } = world.relay.spec;
  const ready = readyPods(world);
  if (ready >= replicas) return undefined;
  const found = findFault(world);
  if (found) return notReady(world, found.text, 'False');
  const why = world.pods.find(({ report }) => report && report.notReady.length > 0);
  const rest = why ? `; pod ${why.name}: ${why.report?.notReady.join('; ')}` : '';
  return is('False', 'PodsNotReady', `${readyWords(world)}${rest}`);
};

/** A pod waits for something outside the relay, such as room on a node. */
export const podsWait: Check = (world) => {
  const found = findFault(world);
  return found && readyPods(world) < world.relay.spec.replicas
    ? notReady(world, found.text, 'True')
    : undefined;
};

export const scaledToZero: Check = ({ relay }) =>
  relay.spec.replicas === 0 ? is('True', 'ScaledToZero', 'No pods are wanted') : undefined;

export const serving: Check = ({ relay: { spec } }) =>
  is(
    'True',
    'Serving',
    `${every(spec.replicas, 'pod')} ${verb(spec.replicas, 'serves', 'serve')} the wanted policy`,
  );

/** Pods that were seen to serve this generation do not answer now. They probably still serve it. */
export const servesUnseen: Check = (world) => {
  const unreachable = unreachablePods(world);
  if (unreachable.length === 0) return undefined;
  const { generation } = world.relay.metadata;
  const before = world.relay.status?.conditions?.find(({ type }) => type === 'Ready');
  const isProven = before?.status === 'True' && before.observedGeneration === generation;
  return isProven
    ? is(
        'True',
        'Serving',
        `${readyWords(world)}; ${silence(unreachable)}, and served this generation before`,
      )
    : is('False', 'PodsUnreachable', unreachableText(unreachable));
};

/** Pods run and do not report the wanted policy, or no pod has been seen to serve this generation. */
export const policyChanging: Check = (world) => {
  const found = servesUnseen(world);
  if (found) return found.status === 'False' ? { ...found, status: 'True' } : undefined;
  const pending = policyPending(world);
  return pending && is('True', 'PolicyChanging', pending.message);
};

export const policyUnseen: Check = (world) => {
  const unreachable = unreachablePods(world);
  return unreachable.length > 0 ? is('Unknown', 'PodsUnreachable', unreachableText(unreachable)) : undefined;
};

/** True while the StatefulSet has a new spec, or replaces pods by a new revision. */
export function isRolling({ metadata, status }: KubeObject): boolean {
  const { observedGeneration, currentRevision, updateRevision } = (status ?? {}) as {
    observedGeneration?: number;
    currentRevision?: string;
    updateRevision?: string;
  };
  return observedGeneration !== metadata.generation || currentRevision !== updateRevision;
}

export function isReplacing({ relay, objects }: World): boolean {
  const set = objects.get(`StatefulSet/${relay.metadata.name}`);
  return set !== undefined && isRolling(set);
}

export const rollingOut: Check = (world) => {
  const { relay, objects } = world;
  const set = objects.get(`StatefulSet/${relay.metadata.name}`);
  const status = (set?.['status'] ?? {}) as {
    observedGeneration?: number;
    updatedReplicas?: number;
    readyReplicas?: number;
    replicas?: number;
  };
  const wanted = relay.spec.replicas;
  const done =
    set !== undefined &&
    status.observedGeneration === set.metadata.generation &&
    (status.replicas ?? 0) === wanted &&
    (status.updatedReplicas ?? 0) === wanted &&
    (status.readyReplicas ?? 0) === wanted;
  if (done) return undefined;
  return is('True', 'RollingOut', readyWords(world));
};

/** A StatefulSet replaces pods one by one, and waits for a pod that is not ready even if the pod leaves. */
export const rolloutHeldUp: Check = ({ relay, objects, leaving }) => {
  const set = objects.get(`StatefulSet/${relay.metadata.name}`);
  const { replicas = 0, updatedReplicas = 0 } = (set?.['status'] ?? {}) as Record<string, number>;
  const [blocker] = leaving.filter(({ ready, deleting }) => !ready && !deleting);
  if (!blocker || updatedReplicas >= replicas) return undefined;
  const why = blocker.trouble ? `: ${blocker.trouble.message}` : '';
  const waits = `${counted(replicas - updatedReplicas, 'pod')} ${verb(replicas - updatedReplicas, 'waits', 'wait')} to be replaced`;
  return is('True', 'RollingOut', `${waits} until pod ${blocker.name}, which leaves, is ready${why}`);
};

/** Pods that are ready for the kubelet and do not answer the operator. */
function unreachablePods({ pods }: World): PodView[] {
  return pods.filter(({ ready, deleting, report }) => ready && !deleting && !report);
}

export function unreachableText(pods: readonly PodView[]): string {
  const cure = `let the operator reach port ${ADMIN_PORT} of the pods (NetworkPolicy, service mesh)`;
  return `${silence(pods)}: ${cure}`;
}

function silence(pods: readonly PodView[]): string {
  const [stranger] = pods.flatMap(({ name, stranger: who }) =>
    who ? [`${who} answers for pod ${name}`] : [],
  );
  const names = listed(pods.map(({ name }) => name));
  return (
    stranger ?? `the operator gets no answer from ${names}, which ${verb(pods.length, 'is', 'are')} ready`
  );
}

interface Fault {
  readonly text: string;
  readonly isStuck: boolean;
}

/**
 * The first fault of the StatefulSet, of a claim or of a wanted pod; one that needs a person before all others. The
 * event of a claim says more than the pod that waits for the claim.
 */
function findFault({ pods, complaints = [] }: Judged): Fault | undefined {
  const ofPods = pods.flatMap(({ name, ready, deleting, trouble }) =>
    trouble && (!ready || deleting)
      ? [{ text: `pod ${name}: ${trouble.message}`, isStuck: trouble.isStuck }]
      : [],
  );
  const ofOthers = complaints.filter(({ object }) => !object.startsWith('Service/'));
  const told = ofOthers.map((complaint) => ({
    text: describe(complaint),
    isStuck: !complaint.object.startsWith('Pod/') && STUCK_COMPLAINTS.test(complaint.message),
  }));
  const [first] = [...told, ...ofPods];
  return [...ofPods, ...told].find(({ isStuck }) => isStuck) ?? first;
}

function describe({ object, reason, message }: Complaint): string {
  const cure = findCure(message) ?? 'mend what the message names';
  return `${object}: ${reason}: ${quoted(message)}: ${cure}`;
}

function notReady(world: Judged, text: string, status: 'True' | 'False') {
  return is(status, 'PodsNotReady', `${readyWords(world)}; ${text}`);
}

function readyPods({ pods }: World): number {
  return pods.filter((pod) => pod.ready && !pod.deleting).length;
}

function readyWords(world: World): string {
  const { replicas } = world.relay.spec;
  return `${countedAmong(readyPods(world), replicas, 'pod')} ${verb(replicas, 'is', 'are')} ready`;
}
