/**
 * Why a pod does not run: the message of the scheduler, the kubelet or the runtime, and the cure. If `isStuck` is true,
 * waiting does not help. Pure.
 */
import { RELAY_CONTAINER, SIDECAR_CONTAINER } from '#crds/wellknown.ts';
import { listed, quoted } from './words.ts';

export interface PodTrouble {
  /** The reason of Kubernetes, such as Unschedulable or ImagePullBackOff. */
  readonly reason: string;
  readonly message: string;
  readonly isStuck: boolean;
}

export interface PodState {
  readonly phase?: string;
  readonly conditions?: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason?: string;
    readonly message?: string;
  }[];
  readonly containerStatuses?: readonly ContainerState[];
  readonly initContainerStatuses?: readonly ContainerState[];
}

interface ContainerState {
  readonly name: string;
  readonly restartCount?: number;
  readonly state?: { readonly waiting?: Waiting; readonly terminated?: Ended };
  readonly lastState?: { readonly terminated?: Ended };
}

interface Waiting {
  readonly reason?: string;
  readonly message?: string;
}

interface Ended extends Waiting {
  readonly exitCode?: number;
}

/** Reasons of waiting containers that are normal steps of a start. Every other reason is a fault. */
const ON_ITS_WAY: ReadonlySet<string> = new Set(['ContainerCreating', 'PodInitializing', '']);
const CRASHES = 'CrashLoopBackOff';
/** The restarts after which an exit is no accident, such as the end of a node. */
const CRASHES_AT = 2;
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

const CURES: Readonly<Record<string, (fields: Fields) => string>> = {
  ErrImagePull: ({ image }) => `correct ${image}, or the credentials of its registry`,
  ImagePullBackOff: ({ image }) => `correct ${image}, or the credentials of its registry`,
  InvalidImageName: ({ image }) => `correct ${image}`,
  ErrImageNeverPull: () => 'load the image onto the node, or let it be pulled',
  CreateContainerConfigError: () => 'mend what the message names',
  OOMKilled: ({ memory }) => `raise ${memory}`,
  Unschedulable: () => 'make room, or change what spec.pod and the storage class ask of a node',
};

/** Undefined if the pod runs or is starting. */
export function findTrouble(state: PodState): PodTrouble | undefined {
  const unscheduled = state.conditions?.find(
    ({ type, status }) => type === 'PodScheduled' && status === 'False',
  );
  if (unscheduled) {
    const { reason = 'Unschedulable', message = '' } = unscheduled;
    return trouble(RELAY_CONTAINER, reason, message, false);
  }
  const containers = [...(state.initContainerStatuses ?? []), ...(state.containerStatuses ?? [])];
  for (const container of containers) {
    const found = containerTrouble(container);
    if (found) return found;
  }
  return undefined;
}

function containerTrouble({
  name,
  state,
  lastState,
  restartCount = 0,
}: ContainerState): PodTrouble | undefined {
  const { waiting, terminated } = state ?? {};
  const ended = terminated ?? lastState?.terminated;
  const reason = waiting?.reason ?? '';
  const hasCrashed = ended !== undefined && ended.exitCode !== 0;
  // Between two crashes the container runs for a moment. The fault is the same.
  if (reason === CRASHES || (hasCrashed && restartCount >= CRASHES_AT)) return crashTrouble(name, ended);
  if (waiting && !ON_ITS_WAY.has(reason)) return trouble(name, reason, waiting.message ?? '', true);
  return hasCrashed ? trouble(name, ended.reason ?? 'Error', describeExit(ended), false) : undefined;
}

function crashTrouble(name: string, ended: Ended | undefined): PodTrouble {
  const { reason } = ended ?? {};
  const isNamed = reason !== undefined && reason !== 'Error' && reason !== 'Completed';
  return trouble(name, isNamed ? `${CRASHES}, ${reason}` : CRASHES, ended ? describeExit(ended) : '', true);
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

/** Of the containers only the relay is not named: people know it as the pod. */
function trouble(name: string, reason: string, message: string, isStuck: boolean): PodTrouble {
  const fields = FIELDS[name] ?? OF_OTHERS;
  const cures = reason.split(', ').flatMap((word) => CURES[word]?.(fields) ?? []);
  const cure = cures.length > 0 ? ` (${listed(cures)})` : '';
  const whose = name === RELAY_CONTAINER ? '' : `container ${name}: `;
  return { reason, message: `${whose}${reason}${message ? `: ${quoted(message)}` : ''}${cure}`, isStuck };
}
