/**
 * Reads why Kubernetes cannot create pods or volumes, such as a quota that denies them or a missing StorageClass. Only
 * events tell these reasons. They are read only while a pod or a volume is missing, so that an idle relay costs
 * nothing.
 */
import { isNumbered } from '#crds/scalefile.ts';
import type { Writer } from './apply.ts';
import type { KubeObject } from './kube/client.ts';
import { isKubeError } from './kube/errors.ts';
import { apiPath, CLAIM, STATEFUL_SET } from './kube/kinds.ts';
import { objectNames } from './render/metadata.ts';
import type { Complaint, World } from './world.ts';

const CORE_EVENT = { kind: 'Event', apiVersion: 'v1', plural: 'events' };
/** An older event may tell of a fault that is mended. The controller repeats an event after sixteen minutes at most. */
const FRESH_MS = 20 * 60_000;
const READ_AT_MOST = 50;
/** The status waits for the events. Without them it only lacks reasons. */
const READ_MS = 3_000;
/** Anybody who may write into the namespace can write events, of a megabyte each. */
const READ_BYTES = 1024 * 1024;

interface KubeEvent extends KubeObject {
  readonly type?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTimestamp?: string | null;
  readonly eventTime?: string | null;
}

export interface Complaints {
  readonly complaints: readonly Complaint[];
  /** True if the API server did not answer for all events. They are worth another look. */
  readonly isPartial: boolean;
}

export async function readComplaints(reader: Writer, world: World): Promise<Complaints> {
  const found = await Promise.all(lacking(world).map((object) => readNewest(reader, object, world.now)));
  return {
    complaints: found.flatMap((complaint) => (complaint === 'unread' ? [] : (complaint ?? []))),
    isPartial: found.includes('unread'),
  };
}

/** The StatefulSet if it lacks pods, and the first claim without a volume. */
function lacking({ relay, objects, pods }: World): KubeObject[] {
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
  return [...(set && isLacking ? [set] : []), ...claims.slice(0, 1)];
}

async function readNewest(
  reader: Writer,
  object: KubeObject,
  now: number,
): Promise<Complaint | 'unread' | undefined> {
  const { kind = '', metadata } = object;
  const fieldSelector = `involvedObject.kind=${kind},involvedObject.name=${metadata.name},involvedObject.uid=${metadata.uid},type=Warning`;
  try {
    const { items = [] } = await reader.request<{ items?: KubeEvent[] }>({
      method: 'GET',
      path: apiPath(CORE_EVENT, metadata.namespace),
      query: { fieldSelector, limit: String(READ_AT_MOST) },
      mostBytes: READ_BYTES,
      timeoutMs: READ_MS,
      isDispensable: true,
    });
    const [newest] = items
      .filter((event) => now - parseTime(event) < FRESH_MS)
      .toSorted((a, b) => parseTime(b) - parseTime(a));
    return (
      newest && {
        object: `${kind}/${metadata.name}`,
        reason: newest.reason ?? '',
        message: newest.message ?? '',
      }
    );
  } catch (error) {
    // The status reports the missing pod anyway. The event only adds the reason.
    if (isKubeError(error, 'unavailable')) return 'unread';
    if (isKubeError(error, 'forbidden', 'notFound', 'invalid', 'failed')) return undefined;
    throw error;
  }
}

function parseTime({ lastTimestamp, eventTime, metadata }: KubeEvent): number {
  const { creationTimestamp } = metadata as { creationTimestamp?: string };
  return Date.parse(lastTimestamp ?? eventTime ?? creationTimestamp ?? '') || 0;
}
