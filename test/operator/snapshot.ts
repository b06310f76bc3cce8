/** All objects and the status in a namespace for which the operator is responsible, in a form that can be compared. */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '#operator/kube/client.ts';
import { Collection } from '#operator/kube/collection.ts';
import { isKubeError } from '#operator/kube/errors.ts';
import { CLAIM, type Kind, MAIL_RELAY, OPTIONAL, OWNED, POD } from '#operator/kube/kinds.ts';
import { until } from '#test/kit/wait.ts';
import type { Plane } from './plane.ts';

const LIST_MS = 60_000;
const SAME_MS = 180_000;
const EVENT: Kind = { kind: 'Event', apiVersion: 'events.k8s.io/v1', plural: 'events' };
/** Fields that the server chooses, or that depend on the order of events. */
const NOISE = new Set([
  ...['uid', 'resourceVersion', 'generation', 'creationTimestamp', 'managedFields', 'observedGeneration'],
  ...['clusterIP', 'clusterIPs', 'nodePort', 'healthCheckNodePort'],
  ...['lastTransitionTime', 'mailrelay.dev/refresh'],
]);
const TOLD_BY_STATUS = new Set<Kind>([MAIL_RELAY]);

/** The objects by `Kind/name`, without fields that differ between two runs. */
export async function snapshot(plane: Plane, namespace: string): Promise<Record<string, unknown>> {
  const kinds = [MAIL_RELAY, ...OWNED, POD, CLAIM];
  const lists = await Promise.all(
    kinds.map(async (kind) =>
      (await listObjects(plane, kind, namespace)).map((object) => [
        `${kind.kind}/${object.metadata.name}`,
        shownOf(kind, object, namespace),
      ]),
    ),
  );
  return Object.fromEntries(lists.flat());
}

/** Resolves when the namespace has these objects again; fails with the difference. */
export async function whenSame(
  plane: Plane,
  namespace: string,
  expected: Record<string, unknown>,
): Promise<void> {
  let last: Record<string, unknown> = {};
  const isSame = async () => {
    last = await snapshot(plane, namespace);
    return isDeepStrictEqual(last, expected);
  };
  await until(`the world of ${namespace}`, isSame, SAME_MS).catch(() =>
    assert.deepEqual(last, expected, namespace),
  );
}

/** Of all namespaces whose name begins so; and what tells that an object was touched, or is another one. */
export async function snapshots(plane: Plane, prefix: string): Promise<Map<string, Shot>> {
  const shots = new Map<string, Shot>();
  for (const kind of [MAIL_RELAY, ...OWNED, POD, CLAIM]) {
    for (const object of await listObjects(plane, kind)) {
      const { namespace = '', name, uid = '', resourceVersion = '' } = object.metadata;
      if (!namespace.startsWith(prefix)) continue;
      const shot = shots.get(namespace) ?? { world: {}, versions: {}, claims: {} };
      shots.set(namespace, shot);
      const key = `${kind.kind}/${name}`;
      shot.world[key] = shownOf(kind, object, namespace);
      shot.versions[key] = resourceVersion;
      if (kind === CLAIM) shot.claims[key] = uid;
    }
  }
  return shots;
}

export interface Shot {
  readonly world: Record<string, unknown>;
  readonly versions: Record<string, string>;
  /** Name to uid. */
  readonly claims: Record<string, string>;
}

/** Reason and note of every event, one line each. */
export async function eventsOf(plane: Plane, namespace: string): Promise<string[]> {
  const events = await listObjects(plane, EVENT, namespace);
  return events.map((event) => `${event['reason']}: ${event['note']}`).toSorted();
}

function shownOf(kind: Kind, { status, ...object }: KubeObject, namespace: string): unknown {
  return comparable(TOLD_BY_STATUS.has(kind) ? { ...object, status } : object, namespace);
}

/** One by one, because other stories leave very large objects. Nothing of a kind that the cluster does not know. */
export async function listObjects(plane: Plane, kind: Kind, namespace?: string): Promise<KubeObject[]> {
  const collection = new Collection({ client: plane.admin, kind, namespace, labelSelector: undefined });
  try {
    const { objects } = await collection.list((object) => object, AbortSignal.timeout(LIST_MS));
    return [...objects.values()];
  } catch (error) {
    if (isKubeError(error, 'notFound') && OPTIONAL.has(kind)) return [];
    throw error;
  }
}

function comparable(value: unknown, namespace: string): unknown {
  const text = JSON.stringify(value, (key, inner) => (NOISE.has(key) || isBare(inner) ? undefined : inner));
  // Hashes and serial numbers depend on the namespace, and the name of an order on the MailRelay.
  const named = text
    .replaceAll(namespace, 'NAMESPACE')
    .replace(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, 'UID')
    // An order has the generation at its end.
    .replace(/\bUID\.\d+\b/g, 'ORDER');
  return JSON.parse(named.replace(/\b[0-9a-f]{16}\b/g, 'HASH'));
}

/** Annotations with nothing but noise count as no annotations. */
function isBare(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.keys(value).every((key) => NOISE.has(key))
  );
}
