/**
 * The request by which an API server tells what it would store if a person applied a manifest, as `kubectl apply` does it:
 * fields that were applied before and are in the manifest no more go, and those that others have set stay. Pure.
 */
import { API_VERSION, KIND } from '#crds/wellknown.ts';
import type { Request } from '#operator/kube/client.ts';
import type { LiveRelay } from './cluster.ts';

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
/** Of `kubectl apply --server-side`, which is asked for where nobody has applied the object before. */
const KUBECTL = 'kubectl';

type Fields = Readonly<Record<string, unknown>>;

interface Applied {
  readonly name: string;
  readonly namespace: string;
  /** As it is written, without defaults. */
  readonly spec: unknown;
}

interface ManagedFields {
  readonly manager?: string;
  readonly operation?: string;
  readonly subresource?: string;
  readonly fieldsV1?: Fields;
}

export function planDryRun(
  live: LiveRelay | undefined,
  { name, namespace, spec }: Applied,
): Pick<Request, 'method' | 'query' | 'contentType' | 'body'> {
  const before = readLastApplied(live);
  if (before !== undefined)
    return {
      method: 'PATCH',
      query: { dryRun: 'All' },
      contentType: 'application/merge-patch+json',
      body: { spec: mergePatch(before, spec) },
    };
  return {
    method: 'PATCH',
    query: { dryRun: 'All', fieldManager: findApplier(live) ?? KUBECTL, force: 'true' },
    contentType: 'application/apply-patch+yaml',
    body: { apiVersion: API_VERSION, kind: KIND, metadata: { name, namespace }, spec },
  };
}

/** The spec that `kubectl apply` noted; undefined if another tool applies the object, or nobody. */
function readLastApplied(live: LiveRelay | undefined): unknown {
  try {
    return JSON.parse(readMetadata(live).annotations?.[LAST_APPLIED] ?? '{}').spec;
  } catch {
    return undefined;
  }
}

/** Who has applied the spec on the side of the server, such as Flux. */
function findApplier(live: LiveRelay | undefined): string | undefined {
  const { managedFields = [] } = readMetadata(live);
  return managedFields.find(
    ({ operation, subresource, fieldsV1 }) =>
      operation === 'Apply' && !subresource && fieldsV1?.['f:spec'] !== undefined,
  )?.manager;
}

function readMetadata(live: LiveRelay | undefined) {
  return ((live as { metadata?: unknown } | undefined)?.metadata ?? {}) as {
    readonly annotations?: Readonly<Record<string, string>>;
    readonly managedFields?: readonly ManagedFields[];
  };
}

/** JSON merge patch (RFC 7396): null takes a field away, and a list is one value. */
function mergePatch(before: unknown, after: unknown): unknown {
  if (!isFields(before) || !isFields(after)) return after;
  const gone = Object.keys(before).filter((key) => !Object.hasOwn(after, key));
  return Object.fromEntries([
    ...gone.map((key) => [key, null]),
    ...Object.entries(after).map(([key, value]) => [key, mergePatch(before[key], value)]),
  ]);
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
