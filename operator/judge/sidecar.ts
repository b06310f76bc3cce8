/**
 * The order in which outbound.resolver.sidecar comes into force. All pods read one policy, and a pod without the sidecar
 * finds no mail host by a policy that names it. So the former resolver stays in the policy until each pod has the
 * sidecar: a sidecar that cannot start stops no mail. Where it is not known, as somebody deleted or changed the ConfigMap,
 * that of the system is asked, but only for a pod that is there without a sidecar, or may be made so: it proves nothing, so one
 * that is just not seen is no reason. Where the ConfigMap cannot be read, it stays as it is, and so does the policy of the spec.
 * A policy with the level Dane does not wait: no relay takes it with a
 * resolver that proves nothing. Pure.
 */
import { POLICY_FILE_NAME, type Policy, parsePolicy } from '#crds/policyfile.ts';
import { SIDECAR_CONTAINER, SIDECAR_SERVER } from '#crds/wellknown.ts';
import type { KubeObject } from '../kube/client.ts';
import { isAsApplied } from '../render/configmap.ts';
import { objectNames } from '../render/metadata.ts';
import type { World } from '../world.ts';
import { areAllSeen, isRead, listDoubtful } from './allseen.ts';
import { type Check, is } from './finding.ts';
import type { PodState } from './trouble.ts';
import { listed, verb } from './words.ts';

type Observed = Pick<World, 'relay' | 'objects' | 'pods' | 'leaving' | 'strangers' | 'lacking'>;

const DNS_PORT = 53;

interface Named {
  readonly name: string;
}

type Resolving = Pick<Policy['outbound'], 'resolver' | 'discover'>;

/** Every pod can ask it. It proves nothing, so nothing is found by DANE. */
const OF_THE_SYSTEM: Resolving = { resolver: null, discover: ['MTASTS'] };

/** The policy with the resolver that every pod can ask. */
export function withServedResolver(policy: Policy, world: Observed): Policy {
  if (!asksSidecar(policy) || isNew(world) || !isComing(world) || !isMapRead(world)) return policy;
  const live = findConfigMap(world);
  const former = live && readPolicy(live);
  // Nothing goes back for a pod that is made anew.
  if (former && asksSidecar(former)) return policy;
  // A resolver that somebody wrote there by hand is none that the spec ever named.
  const isFormer = live && former && isAsApplied(world.relay, live);
  if (!isFormer && !isAnyWithout(world)) return policy;
  const { resolver, discover: before } = isFormer ? former.outbound : OF_THE_SYSTEM;
  if (needsProof(policy) && !resolver?.trustAD) return policy;
  const discover = policy.outbound.discover.filter((one) => before.includes(one));
  return { ...policy, outbound: { ...policy.outbound, resolver, discover } };
}

/** The sidecar is wanted, and the policy still has the former resolver. */
export const sidecarAwaited: Check = (world) => {
  const { relay, policy } = world;
  if (!relay.spec.outbound?.resolver?.sidecar || !policy || asksSidecar(policy)) return undefined;
  const text = `outbound.resolver.sidecar is asked when ${describeAwaited(world)}, and ${describeResolver(policy)} until then`;
  return is('False', 'PolicyPending', text);
};

export const sidecarComing: Check = (world) => {
  const found = sidecarAwaited(world);
  return found && { ...found, status: 'True', reason: 'PolicyChanging' };
};

function describeResolver({ outbound: { resolver } }: Policy): string {
  const servers = resolver?.servers.map(({ address, port }) =>
    port === DNS_PORT ? address : `${address}:${port}`,
  );
  return servers ? `the former resolver ${listed(servers)}` : 'the resolver of the system, without DANE,';
}

function describeAwaited(world: Observed): string {
  const without = listPodsWithout(world);
  if (without.length > 0) return `${listed(without)} ${verb(without.length, 'has', 'have')} it`;
  const others = listDoubtful(world).map(({ metadata }) => metadata.name);
  if (!isInTemplate(world) || others.length === 0) return 'the pods are made anew';
  return `${listed(others)}, which ${verb(others.length, 'belongs', 'belong')} to someone else, ${verb(others.length, 'is', 'are')} gone`;
}

function asksSidecar({ outbound: { resolver } }: Policy): boolean {
  const { address, port } = SIDECAR_SERVER;
  return resolver?.servers.some((server) => server.address === address && server.port === port) ?? false;
}

function needsProof({ outbound }: Policy): boolean {
  const hops = [...outbound.smartHosts, ...outbound.routes.flatMap(({ hosts }) => hosts ?? [])];
  return [outbound, ...outbound.routes, ...hops].some(({ tlsLevel }) => tlsLevel === 'Dane');
}

/** True if a pod has no sidecar, may be made without one, or is not seen. */
function isComing(world: Observed): boolean {
  return !isInTemplate(world) || !areAllSeen(world) || listPodsWithout(world).length > 0;
}

/** The same if there is no StatefulSet yet. */
function isInTemplate(world: Observed): boolean {
  const set = world.objects.get(`StatefulSet/${world.relay.metadata.name}`);
  const { template } = (set?.['spec'] ?? {}) as {
    template?: { spec: { initContainers?: readonly Named[] } };
  };
  return !template || hasSidecar(template.spec.initContainers);
}

function listPodsWithout({ pods, leaving, objects }: Observed): string[] {
  return [...pods, ...leaving]
    .map(({ name }) => name)
    .filter((name) => !isWithIt(objects.get(`Pod/${name}`)));
}

/** By its spec. A pod that was just made has no status of its containers. */
function isWithIt(pod: KubeObject | undefined): boolean {
  const { initContainers } = (pod?.['spec'] ?? {}) as { initContainers?: readonly Named[] };
  const { initContainerStatuses } = (pod?.['status'] ?? {}) as PodState;
  return hasSidecar(initContainers) || hasSidecar(initContainerStatuses);
}

/** True if a pod that is there has no sidecar, or is made without one. */
function isAnyWithout(world: Observed): boolean {
  const isTold = (pod: KubeObject | undefined) =>
    pod?.['spec'] !== undefined ||
    (pod?.['status'] as PodState | undefined)?.initContainerStatuses !== undefined;
  return (
    !isInTemplate(world) || listPodsWithout(world).some((name) => isTold(world.objects.get(`Pod/${name}`)))
  );
}

const isMapRead = (world: Observed) =>
  isRead(world, `ConfigMap/${objectNames.policy(world.relay.metadata.name)}`);

export function hasSidecar(containers: readonly Named[] = []): boolean {
  return containers.some(({ name }) => name === SIDECAR_CONTAINER);
}

/** Nobody reads the policy yet. */
function isNew({ relay, objects, pods, leaving }: Observed): boolean {
  return !objects.has(`StatefulSet/${relay.metadata.name}`) && pods.length + leaving.length === 0;
}

function findConfigMap({ relay, objects }: Observed): KubeObject | undefined {
  return objects.get(`ConfigMap/${objectNames.policy(relay.metadata.name)}`);
}

/** The policy that the pods read now, if it is one that this version can read. */
function readPolicy(live: KubeObject): Policy | undefined {
  const text = (live['data'] as Record<string, string> | undefined)?.[POLICY_FILE_NAME];
  const read = text === undefined ? undefined : parsePolicy(text);
  return read?.kind === 'policy' ? read.policy : undefined;
}
