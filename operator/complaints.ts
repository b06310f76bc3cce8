/**
 * Reads why Kubernetes cannot create pods or volumes, start a pod on its node, or give a Service its address, such as a
 * quota, a missing StorageClass or a volume that is attached elsewhere. Only events tell these reasons. They are read only
 * while a pod, a volume or an address is missing or does not come, so that an idle relay costs nothing.
 */
import { isNumbered } from '#crds/scalefile.ts';
import { RELAY_CONTAINER } from '#crds/wellknown.ts';
import type { Writer } from './attempt.ts';
import { findPendingService } from './judge/soundness.ts';
import { Allowance } from './kube/allowance.ts';
import type { KubeObject } from './kube/client.ts';
import { isKubeError } from './kube/errors.ts';
import { apiPath, CLAIM, POD, STATEFUL_SET } from './kube/kinds.ts';
import { objectNames } from './render/metadata.ts';
import type { Complaint, PodView, World } from './world.ts';

const CORE_EVENT = { kind: 'Event', apiVersion: 'v1', plural: 'events' };
/** An older event may tell of a fault that is mended. The controller repeats an event after sixteen minutes at most. */
const FRESH_MS = 20 * 60_000;
const READ_AT_MOST = 50;
/** A normal start needs no events. */
const SLOW_MS = 30_000;
/** Normal for some seconds. No warning tells that nobody makes the volume. */
const NORMAL_BUT_LASTING: ReadonlySet<string> = new Set(['FailedBinding', 'ExternalProvisioning']);
/** The status of the pod says more about a crash. */
const TOLD_ELSEWHERE: ReadonlySet<string> = new Set(['BackOff']);
/** The end of a connection at the kubelet has another port each time, and the status would be another at each look. */
const OWN_END = /\S+:\d+->/g;
/** Any start has some. It is told where nothing else is: the relay does not say why it is not ready, or says that it is. */
const PROBE = 'Unhealthy';
/** Steps that go on only after what was warned of before. A controller warns again if the fault comes back. */
const STEPS: ReadonlySet<string> = new Set([
  ...['Scheduled', 'SuccessfulAttachVolume', 'Pulling', 'Pulled', 'Created', 'Started'],
  ...['SuccessfulCreate', 'ProvisioningSucceeded'],
]);
/** The StatefulSet controller tells of several pods by events of one object. */
const WHICH_POD = /^create (?:Claim \S+ )?Pod (\S+)/;
/** The status waits for the events. Without them it only lacks reasons. */
const READ_MS = 3_000;
/** Anybody who may write into the namespace can write events, of a megabyte each. */
const READ_BYTES = 1024 * 1024;
/** For how many milliseconds the API server may work on the events of a namespace: it reads all of them for each answer. */
const ANSWER_MS = { perSecond: 50, burst: 1_000 };

export interface KubeEvent extends KubeObject {
  readonly type?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTimestamp?: string | null;
  readonly eventTime?: string | null;
  /** Of an event that is repeated. Its `eventTime` is that of the first one. */
  readonly series?: { readonly lastObservedTime?: string | null } | null;
  readonly involvedObject?: { readonly fieldPath?: string };
}

export interface Complaints {
  readonly complaints: readonly Complaint[];
  /** True if a later look may tell more: an event or the end of a wait is not in any watch of ours. */
  readonly isOpen: boolean;
}

/**
 * What the events told last, by MailRelay. A namespace that is full of events costs the API server much time at each
 * answer. Once it had its share of that time, the last answer stands for some seconds.
 */
export class ReadEvents {
  readonly #monotonic: () => number;
  readonly #answered = new Allowance(ANSWER_MS);
  readonly #last = new Map<string, Map<string, Complaint | undefined>>();

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  async complaints(reader: Writer, world: World): Promise<Complaints> {
    const { namespace, name } = world.relay.metadata;
    const key = `${namespace}/${name}`;
    const last = this.#last.get(key);
    const objects = lacking(world);
    const told = await Promise.all(
      objects.map(async (object) => {
        const id = `${object.kind}/${object.metadata.uid}`;
        return [id, await this.#read(reader, object, world.now, last?.get(id))] as const;
      }),
    );
    if (told.length > 0) this.#last.set(key, new Map(told));
    else this.forget(key);
    return {
      complaints: told.flatMap(([, complaint]) => complaint ?? []),
      isOpen:
        objects.length > 0 ||
        [...world.pods, ...world.leaving].some(({ ready, deleting }) => !ready || deleting),
    };
  }

  forget(key: string): void {
    this.#last.delete(key);
  }

  async #read(
    reader: Writer,
    object: KubeObject,
    now: number,
    last: Complaint | undefined,
  ): Promise<Complaint | undefined> {
    const { namespace = '' } = object.metadata;
    const begun = this.#monotonic();
    if (this.#answered.pauseMs(namespace, begun) > 0) return last;
    try {
      return await readNewest(reader, object, now);
    } finally {
      const ended = this.#monotonic();
      this.#answered.spend(namespace, ended - begun, ended);
    }
  }
}

/** Whose events are read: at most one object of each kind. */
function lacking(world: World): KubeObject[] {
  const { relay, objects, pods, now } = world;
  const { name } = relay.metadata;
  const set = objects.get(`${STATEFUL_SET.kind}/${name}`);
  const claims = [...objects.values()].filter(
    ({ kind, metadata, status }) =>
      kind === CLAIM.kind &&
      isNumbered(metadata.name, objectNames.claim(name)) &&
      (status as { phase?: string } | undefined)?.phase === 'Pending',
  );
  const { observedGeneration } = (set?.['status'] ?? {}) as { observedGeneration?: number };
  // Before its first observedGeneration the controller has not tried to create pods.
  const isLacking = observedGeneration !== undefined && pods.length < relay.spec.replicas;
  const slow = pods.find((pod) => isSlow(pod, now));
  const slowPod = slow && objects.get(`${POD.kind}/${slow.name}`);
  const service = findPendingService(world);
  return [
    ...(set && isLacking ? [set] : []),
    ...claims.slice(0, 1),
    ...(slowPod ? [slowPod] : []),
    ...(service ? [service] : []),
  ];
}

/** True for a pod that has a node and does not become ready, and nobody says why. */
function isSlow({ ready, deleting, trouble, report, notReadySince }: PodView, now: number): boolean {
  if (ready || deleting || trouble || (report?.notReady.length ?? 0) > 0) return false;
  return notReadySince !== undefined && now - notReadySince >= SLOW_MS;
}

async function readNewest(reader: Writer, object: KubeObject, now: number): Promise<Complaint | undefined> {
  const { kind = '', metadata } = object;
  const fieldSelector = `involvedObject.kind=${kind},involvedObject.name=${metadata.name},involvedObject.uid=${metadata.uid}`;
  try {
    const { items = [] } = await reader.request<{ items?: KubeEvent[] }>({
      method: 'GET',
      path: apiPath(CORE_EVENT, metadata.namespace),
      query: { fieldSelector, limit: String(READ_AT_MOST) },
      mostBytes: READ_BYTES,
      timeoutMs: READ_MS,
      isDispensable: true,
    });
    return pickComplaint(items, object, now);
  } catch (error) {
    // The status reports the missing pod anyway. The event only adds the reason.
    if (isKubeError(error, 'unavailable', 'forbidden', 'notFound', 'invalid', 'failed')) return undefined;
    throw error;
  }
}

/**
 * The newest warning that is not over; without one the newest normal event that tells of something lasting, or else a probe
 * that fails. Pure.
 */
export function pickComplaint(
  events: readonly KubeEvent[],
  { kind, metadata }: KubeObject,
  now: number,
): Complaint | undefined {
  const isNew = now - parseTime({ metadata }) < SLOW_MS;
  const told = events.filter(
    (event) => now - parseTime(event) < FRESH_MS && !TOLD_ELSEWHERE.has(event.reason ?? ''),
  );
  const warnings = told.filter((event) => event.type === 'Warning' && !isOver(event, told));
  const lasting = isNew ? [] : told.filter(({ reason = '' }) => NORMAL_BUT_LASTING.has(reason));
  const others = warnings.filter(({ reason }) => reason !== PROBE);
  const candidates = [others, lasting, warnings].find((some) => some.length > 0) ?? [];
  const [newest] = candidates.toSorted((a, b) => parseTime(b) - parseTime(a));
  if (!newest) return undefined;
  const { reason = '', message = '' } = newest;
  const text = `${nameContainer(newest)}${message.replace(OWN_END, '')}`;
  return { object: `${kind}/${metadata.name}`, reason, message: text };
}

/** Of the containers only the relay is not named: people know it as the pod. */
function nameContainer({ reason, involvedObject }: KubeEvent): string {
  const [, name = RELAY_CONTAINER] = /\{(.+)\}$/.exec(involvedObject?.fieldPath ?? '') ?? [];
  return reason !== PROBE || name === RELAY_CONTAINER ? '' : `container ${name}: `;
}

/** True if a newer event tells that the object has come further. */
function isOver(warning: KubeEvent, events: readonly KubeEvent[]): boolean {
  const podOf = ({ message = '' }: KubeEvent) => WHICH_POD.exec(message)?.[1];
  return events.some(
    (event) =>
      event.type !== 'Warning' &&
      STEPS.has(event.reason ?? '') &&
      parseTime(event) > parseTime(warning) &&
      podOf(event) === podOf(warning),
  );
}

function parseTime({ series, lastTimestamp, eventTime, metadata }: KubeEvent): number {
  const { creationTimestamp } = metadata as { creationTimestamp?: string };
  const last = series?.lastObservedTime ?? lastTimestamp;
  return Date.parse(last ?? eventTime ?? creationTimestamp ?? '') || 0;
}
