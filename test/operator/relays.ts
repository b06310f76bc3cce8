/** Creates many MailRelays, and waits until all of them are settled. */
import type { KubeObject } from '#operator/kube/client.ts';
import { apiPath, MAIL_RELAY } from '#operator/kube/kinds.ts';
import type { Call } from '#test/cluster/audit.ts';
import { changed } from '#test/fixtures/manifests.ts';
import { until } from '#test/kit/wait.ts';
import type { Plane } from './plane.ts';

const AT_ONCE = 16;

export function relayNamed(
  namespace: string,
  name: string,
  changes: Readonly<Record<string, unknown>> = {},
): KubeObject {
  const { apiVersion, kind } = MAIL_RELAY;
  return { apiVersion, kind, metadata: { name, namespace }, spec: changed(changes) };
}

export async function putRelay(plane: Plane, relay: KubeObject): Promise<KubeObject> {
  return plane.put(relay, MAIL_RELAY.plural);
}

/** The name does not end in a number, because the names of pods do. */
export function nameOf(index: number): string {
  return `relay-${index}x`;
}

export async function makeRelays(plane: Plane, namespace: string, count: number, from = 0): Promise<void> {
  await plane.makeNamespace(namespace);
  const names = Array.from({ length: count - from }, (_, index) => nameOf(from + index));
  const maker = async () => {
    for (let name = names.pop(); name; name = names.pop()) await putRelay(plane, relayNamed(namespace, name));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, maker));
}

interface Settled extends KubeObject {
  readonly status?: {
    readonly observedGeneration?: number;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

function isSettled({ metadata, status }: Settled): boolean {
  const is = (type: string) => status?.conditions?.find((condition) => condition.type === type)?.status;
  return (
    status?.observedGeneration === metadata.generation &&
    is('Ready') === 'True' &&
    is('Reconciling') === undefined
  );
}

/** Resolves when the statuses of all MailRelays of the namespace say that they are as wanted. */
export async function settled(
  plane: Plane,
  namespace: string,
  count: number,
  withinMs = 300_000,
): Promise<void> {
  await until(
    `${count} settled MailRelays in ${namespace}`,
    async () => {
      const { items } = await plane.admin.request<{ items: Settled[] }>({
        method: 'GET',
        path: apiPath(MAIL_RELAY, namespace),
      });
      const done = items.filter(isSettled).length;
      if (done < count) throw new Error(`${done} of ${items.length} are`);
      return true;
    },
    withinMs,
  );
}

export async function whenSettled(
  plane: Plane,
  namespace: string,
  name: string,
  withinMs = 300_000,
): Promise<Settled> {
  return until(
    `${namespace}/${name} to settle`,
    async () => {
      const relay = await plane.admin.request<Settled>({
        method: 'GET',
        path: apiPath(MAIL_RELAY, namespace, name),
      });
      if (!isSettled(relay)) throw new Error(JSON.stringify(relay.status?.conditions));
      return relay;
    },
    withinMs,
  );
}

/** Resolves when no call of the operator waits for its answer, and it has sent only those that it makes at rest for a while. */
export async function whenQuiet(plane: Plane, forMs = 1_000): Promise<void> {
  const isQuiet = () => {
    const busy = [...plane.pending(), ...plane.calls(Date.now() - forMs)].filter((call) => !isRest(call));
    if (busy.length === 0) return true;
    throw new Error(JSON.stringify(busy.at(-1)));
  };
  await until('quiet', isQuiet, forMs + 180_000);
}

/** True for the calls that the operator makes at rest: watches and the Lease. */
export function isRest({ kind, resource }: Call): boolean {
  return kind === 'watch' || resource === 'leases';
}
