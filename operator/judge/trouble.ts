/**
 * Why a pod does not run or does not end: the message of the scheduler, the kubelet or the runtime, and the cure. If
 * `isStuck` is true, waiting does not help. Pure.
 */
import { RELAY_CONTAINER, SIDECAR_CONTAINER } from '#crds/wellknown.ts';
import { CHECK_NODE_CURE, findCure, NODE_CURE } from './kubecures.ts';
import { listed, quoted } from './words.ts';

export interface PodTrouble {
  /** The reason of Kubernetes, such as Unschedulable or ImagePullBackOff. */
  readonly reason: string;
  readonly message: string;
  readonly isStuck: boolean;
}

export interface PodState {
  readonly phase?: string;
  /** Of the whole pod: a kubelet has evicted or refused it. */
  readonly reason?: string;
  readonly message?: string;
  readonly conditions?: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason?: string;
    readonly message?: string;
    readonly lastTransitionTime?: string | null;
  }[];
  readonly containerStatuses?: readonly ContainerState[];
  readonly initContainerStatuses?: readonly ContainerState[];
}

interface ContainerState {
  readonly name: string;
  readonly restartCount?: number;
  readonly started?: boolean;
  readonly state?: {
    readonly waiting?: Waiting;
    readonly running?: { readonly startedAt?: string };
    readonly terminated?: Ended;
  };
  readonly lastState?: { readonly terminated?: Ended };
}

interface Waiting {
  readonly reason?: string;
  readonly message?: string;
}

interface Ended extends Waiting {
  readonly exitCode?: number;
  readonly startedAt?: string;
  readonly finishedAt?: string;
}

/** What is known of a pod beside its status. */
export interface PodAround {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** The time of a pod that is being deleted by which it should be gone. */
  readonly deletionTimestamp?: string | undefined;
  readonly node?: string | undefined;
}

/** Reasons of waiting containers that are normal steps of a start. Every other reason is a fault. */
const ON_ITS_WAY: ReadonlySet<string> = new Set(['ContainerCreating', 'PodInitializing', '']);
const UNSCHEDULABLE = 'Unschedulable';
const CRASHES = 'CrashLoopBackOff';
/** All containers are ready, and another controller has not said so of the pod. */
const GATES = 'ReadinessGatesNotReady';
/** The restarts after which an exit is no accident, such as the end of a node. */
const CRASHES_AT = 2;
/** The kubelet forgets the crashes of a container that has run for ten minutes. */
const FORGOTTEN_MS = 10 * 60_000;
/** A kubelet may be this late with the end of a pod, and a controller with its gate. */
const LATE_MS = 30_000;
/** The fields that a person changes for a container. */
interface Fields {
  readonly image: string;
  readonly memory: string;
}
const SIDECAR = 'outbound.resolver.sidecar';
const FIELDS: Readonly<Record<string, Fields>> = {
  [RELAY_CONTAINER]: { image: 'the image', memory: 'pod.resources.limits.memory' },
  [SIDECAR_CONTAINER]: { image: `${SIDECAR}.image`, memory: `${SIDECAR}.resources.limits.memory` },
};
/** Of a container that others added to the pod, such as that of a service mesh. */
const OF_OTHERS: Fields = { image: 'its image', memory: 'its limit of memory' };

const MAKE_ROOM = 'make room, bring nodes back, or change what spec.pod and the storage class ask of a node';
const MEND = 'mend what the message names';
const ASK = '"kubectl describe pod" may say more';
/** A container that said nothing at its end, or was killed, such as by its liveness probe. */
const ASK_LOG = '"kubectl logs --previous" and "kubectl describe pod" may say more';
const otherProgram = ({ image }: Fields) => `correct ${image} if it is another program, or ${MEND}`;
/** Of a shell: it cannot run the command of the container, or does not find it. */
const NO_COMMAND: ReadonlySet<number | undefined> = new Set([126, 127]);

const CURES: Readonly<Record<string, (fields: Fields) => string>> = {
  ErrImagePull: ({ image }) => `correct ${image}, or the credentials of its registry`,
  ImagePullBackOff: ({ image }) => `correct ${image}, or the credentials of its registry`,
  InvalidImageName: ({ image }) => `correct ${image}`,
  ErrImageNeverPull: () => 'load the image onto the node, or let it be pulled',
  StartError: otherProgram,
  ContainerCannotRun: otherProgram,
  RunContainerError: otherProgram,
  OOMKilled: ({ memory }) => `raise ${memory}`,
  [UNSCHEDULABLE]: () => MAKE_ROOM,
  Evicted: () => 'make room on its node, or raise the requests of pod.resources',
  OutOfcpu: () => MAKE_ROOM,
  OutOfmemory: () => MAKE_ROOM,
  OutOfpods: () => MAKE_ROOM,
  NodeAffinity: () => 'change what spec.pod asks of a node, or the labels of the node',
  UnexpectedAdmissionError: () => 'see the log of the kubelet of its node',
  NodeLost: () => NODE_CURE,
  [GATES]: () => 'see why the controller of that gate does not set it, most often that of the load balancers',
};

/** Undefined if the pod runs, is starting or is ending. */
export function findTrouble(state: PodState, around: PodAround): PodTrouble | undefined {
  const late = lateEnd(state, around);
  if (late) return late;
  if (state.reason) return trouble(RELAY_CONTAINER, state.reason, state.message ?? '', false);
  const unscheduled = state.conditions?.find(
    ({ type, status }) => type === 'PodScheduled' && status === 'False',
  );
  if (unscheduled) {
    const { reason = UNSCHEDULABLE, message = '' } = unscheduled;
    // A claim without a volume finds none by more room.
    const known = reason === UNSCHEDULABLE ? findCure(message) : undefined;
    if (known) return describe(RELAY_CONTAINER, { reason, message, isStuck: false }, [known]);
    return trouble(RELAY_CONTAINER, reason, message, false);
  }
  const containers = [...(state.initContainerStatuses ?? []), ...(state.containerStatuses ?? [])];
  for (const container of containers) {
    const found = containerTrouble(container, around.now);
    if (found) return found;
  }
  return gateTrouble(state, around.now);
}

/** A load balancer takes some seconds at each start. */
function gateTrouble({ conditions = [] }: PodState, now: number): PodTrouble | undefined {
  const gates = conditions.find(({ type, reason }) => type === 'Ready' && reason === GATES);
  const since = conditions.find(({ type }) => type === 'ContainersReady')?.lastTransitionTime ?? '';
  return gates && now - (Date.parse(since) || 0) >= LATE_MS
    ? trouble(RELAY_CONTAINER, GATES, gates.message ?? '', false)
    : undefined;
}

/** True if the relay of the pod has run. A pod gets its address before that, and can lose it later. */
export function hasRun({ phase, containerStatuses = [] }: PodState): boolean {
  // The phase of a pod that is Failed does not say whether it has run: a kubelet may have refused it.
  if (phase === 'Running' || phase === 'Succeeded') return true;
  const {
    state,
    lastState,
    restartCount = 0,
    started,
  } = containerStatuses.find(({ name }) => name === RELAY_CONTAINER) ?? {};
  const isSeen = state?.running ?? state?.terminated ?? lastState?.terminated;
  return isSeen !== undefined || restartCount > 0 || started === true;
}

/** Since when the pod is not ready, in milliseconds since the epoch; undefined if it is ready or has no node. */
export function findNotReadySince({ conditions = [] }: PodState): number | undefined {
  const ready = conditions.find(({ type }) => type === 'Ready');
  if (ready?.status === 'True') return undefined;
  const since = ready ?? conditions.find(({ type, status }) => type === 'PodScheduled' && status === 'True');
  return since && (Date.parse(since.lastTransitionTime ?? '') || 0);
}

/**
 * Nobody replaces the pod before it is gone. Either the kubelet of its node has not told of the end; or it has, which the
 * phase shows, and something else holds the pod.
 */
function lateEnd({ phase }: PodState, { now, deletionTimestamp, node }: PodAround): PodTrouble | undefined {
  if (deletionTimestamp === undefined || now - Date.parse(deletionTimestamp) < LATE_MS) return undefined;
  const where = node === undefined ? 'its node' : `its node ${node}`;
  const hasEnded = phase === 'Succeeded' || phase === 'Failed';
  const why = hasEnded
    ? 'it has ended, and it is not gone (look for finalizers of the pod, or for a volume that its node does not release)'
    : `it should have ended at ${deletionTimestamp}, and most likely ${where} is away (${CHECK_NODE_CURE})`;
  return { reason: 'Terminating', message: `Terminating: ${why}`, isStuck: false };
}

function containerTrouble(
  { name, state, lastState, restartCount = 0 }: ContainerState,
  now: number,
): PodTrouble | undefined {
  const { waiting, running, terminated } = state ?? {};
  const ended = terminated ?? lastState?.terminated;
  const reason = waiting?.reason ?? '';
  const isOver = lasts(running?.startedAt, now);
  const hasCrashed = ended !== undefined && ended.exitCode !== 0 && !isOver;
  const isRepeated =
    restartCount >= CRASHES_AT && !lasts(ended?.startedAt, Date.parse(ended?.finishedAt ?? ''));
  // Between two crashes the container runs for a moment. The fault is the same.
  if (reason === CRASHES || (hasCrashed && isRepeated)) return crashTrouble(name, ended);
  if (waiting && !ON_ITS_WAY.has(reason)) return trouble(name, reason, waiting.message ?? '', true);
  return hasCrashed ? exitTrouble(name, ended.reason ?? 'Error', ended, false) : undefined;
}

/** True if a container that started then runs, or ran, without the crashes before it. */
function lasts(startedAt: string | undefined, until: number): boolean {
  return until - Date.parse(startedAt ?? '') >= FORGOTTEN_MS;
}

function crashTrouble(name: string, ended: Ended | undefined): PodTrouble {
  const { reason } = ended ?? {};
  const isNamed = reason !== undefined && reason !== 'Error' && reason !== 'Completed';
  return exitTrouble(name, isNamed ? `${CRASHES}, ${reason}` : CRASHES, ended, true);
}

/** What a relay says at its end has its own cure. */
function exitTrouble(name: string, reason: string, ended: Ended | undefined, isStuck: boolean): PodTrouble {
  const words = [...reason.split(', '), ...(NO_COMMAND.has(ended?.exitCode) ? ['StartError'] : [])];
  const found = findCures(name, words);
  const isSilent = (ended?.message ?? '').trim() === '';
  const cures = found.length === 0 && isSilent ? [ASK_LOG] : found;
  return describe(name, { reason, message: ended ? describeExit(ended) : '', isStuck }, cures);
}

/** The exit status and the cause of the exit: the last line of the log, of which the runtime gives the end. */
function describeExit({ exitCode, message = '' }: Ended): string {
  const line = message.trim().split('\n').at(-1) ?? '';
  const code = exitCode === undefined ? 'it ended' : `it ended with status ${exitCode}`;
  return line === '' ? code : `${code}: ${readLogMessage(line)}`;
}

/** The message in a line of our own log, or any other line as it is. */
function readLogMessage(line: string): string {
  try {
    const { message } = JSON.parse(line) as { message?: unknown };
    return typeof message === 'string' ? message : line;
  } catch {
    return line;
  }
}

function trouble(name: string, reason: string, message: string, isStuck: boolean): PodTrouble {
  const [cure = message === '' ? ASK : MEND] = findCures(name, [reason]);
  return describe(name, { reason, message, isStuck }, [cure]);
}

function findCures(name: string, words: readonly string[]): string[] {
  const fields = FIELDS[name] ?? OF_OTHERS;
  return [...new Set(words.flatMap((word) => CURES[word]?.(fields) ?? []))];
}

/** Of the containers only the relay is not named: people know it as the pod. */
function describe(
  name: string,
  { reason, message, isStuck }: PodTrouble,
  cures: readonly string[],
): PodTrouble {
  const cure = cures.length > 0 ? ` (${listed(cures)})` : '';
  const whose = name === RELAY_CONTAINER ? '' : `container ${name}: `;
  return { reason, message: `${whose}${reason}${message ? `: ${quoted(message)}` : ''}${cure}`, isStuck };
}
