/**
 * What Kubernetes complains of when pods do not come about: a quota that denies them, a StorageClass that is not there. It
 * says so in events alone, which are read only while a pod or a volume is missing, so that rest costs nothing.
 */
import { isNumbered } from '#crds/scalefile.ts';
import type { Writer } from './apply.ts';
import type { KubeObject } from './kube/client.ts';
import { isKubeError } from './kube/errors.ts';
import { apiPath, CLAIM, STATEFUL_SET } from './kube/kinds.ts';
import { objectNames } from './render/metadata.ts';
import type { Complaint, World } from './world.ts';

const CORE_EVENT = { kind: 'Event', apiVersion: 'v1', plural: 'events' };
/** An older one may be of a fault that is mended. The controller repeats itself, with pauses of up to sixteen minutes. */
const FRESH_MS = 20 * 60_000;
const READ_AT_MOST = 50;

interface KubeEvent extends KubeObject {
  readonly type?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTimestamp?: string | null;
  readonly eventTime?: string | null;
}

export async function readComplaints(reader: Writer, world: World): Promise<Complaint[]> {
  const found = await Promise.all(lacking(world).map((object) => readNewest(reader, object, world.now)));
  return found.flatMap((complaint) => complaint ?? []);
}

/** Objects that have not brought about what they are there for. */
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
  // Its controller has looked at it.
  const isLacking = observedGeneration !== undefined && pods.length < relay.spec.replicas;
  return [...(set && isLacking ? [set] : []), ...claims.slice(0, 1)];
}

async function readNewest(reader: Writer, object: KubeObject, now: number): Promise<Complaint | undefined> {
  const { kind = '', metadata } = object;
  const fieldSelector = `involvedObject.kind=${kind},involvedObject.name=${metadata.name},involvedObject.uid=${metadata.uid},type=Warning`;
  try {
    const { items = [] } = await reader.request<{ items?: KubeEvent[] }>({
      method: 'GET',
      path: apiPath(CORE_EVENT, metadata.namespace),
      query: { fieldSelector, limit: String(READ_AT_MOST) },
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
    // It only adds words to what is told anyway.
    if (isKubeError(error, 'forbidden', 'notFound', 'invalid', 'failed')) return undefined;
    throw error;
  }
}

function parseTime({ lastTimestamp, eventTime, metadata }: KubeEvent): number {
  const { creationTimestamp } = metadata as { creationTimestamp?: string };
  return Date.parse(lastTimestamp ?? eventTime ?? creationTimestamp ?? '') || 0;
}
