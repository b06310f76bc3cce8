/**
 * The checks that make a status: each looks at the world and says what it violates, or nothing. One line each in
 * chain.ts, with its gloss; the order there is the precedence. Pure and total.
 */

import { matcherOf } from '#crds/patterns.ts';
import { hashOf } from '#crds/policyfile.ts';
import { type Obstacle, type PodView, REFRESH, type World } from '../world.ts';
import { type Check, is, reported } from './finding.ts';

const HOUR_SECONDS = 3_600;

export const specInvalid: Check = ({ faults }) => {
  const [fault] = faults;
  return fault && is('True', 'SpecInvalid', `${fault.path}: ${fault.message}`);
};

export const nameTaken: Check = ({ obstacles }) => {
  const taken = obstacles.filter(({ kind }) => kind === 'nameTaken').map(({ object }) => object);
  if (taken.length === 0) return undefined;
  const belong = taken.length === 1 ? 'belongs' : 'belong';
  return is(
    'True',
    'NameTaken',
    `${taken.join(', ')} ${belong} to someone else: rename it, or this MailRelay`,
  );
};

export const denied: Check = ({ obstacles }) => {
  const refused = obstacles.find((obstacle) => obstacle.kind === 'denied');
  return refused && is('True', 'Denied', `The API server refuses ${refused.object}: ${refused.message}`);
};

export const writeFailed: Check = ({ obstacles }) => {
  const failed = obstacles.find((obstacle) => obstacle.kind === 'failed');
  if (!failed) return undefined;
  const text = `The API server fails at ${failed.object}, which is tried again`;
  return is('True', 'WriteFailed', `${text}: ${failed.error.message}`);
};

export const policyRefusedByPods: Check = (world) => {
  const pod = reported(world).find(({ report }) => report?.policy.refused);
  return (
    pod &&
    is('True', 'PolicyRefused', `Pod ${pod.name} refused the policy: ${pod.report?.policy.refused?.message}`)
  );
};

export const policyRefused: Check = (world) => {
  const stalled = policyRefusedByPods(world);
  return stalled && { ...stalled, status: 'False' };
};

export const policyPending: Check = (world) => {
  const wanted = world.policy && hashOf(world.policy);
  const serving = podsWithPolicy(world).length;
  const { replicas } = world.relay.spec;
  if (wanted === undefined) return is('False', 'PolicyPending', 'The spec gives no policy');
  if (serving >= replicas) return undefined;
  return is('False', 'PolicyPending', `Policy ${wanted} is in force on ${serving} of ${replicas} pods`);
};

export const policyInForce: Check = (world) => {
  const { pods, policy, relay } = world;
  const text = `Policy ${policy && hashOf(policy)} is in force on all ${relay.spec.replicas} pods`;
  const gaps = new Set(pods.flatMap(({ report }) => report?.notInForce ?? []));
  const rest = gaps.size > 0 ? `; ${gaps.size} fields are not in force yet, see status.notInForce` : '';
  return is('True', 'PolicyInForce', `${text}${rest}`);
};

export const mailHeld: Check = (world) => {
  const held = reported(world).reduce((sum, { report }) => sum + (report?.queue.held ?? 0), 0);
  return held > 0
    ? is(
        'False',
        'MailHeld',
        'Mail waits for a person: "mailrelay queue list --held" in the pods has the reason',
      )
    : undefined;
};

export const loginRefused: Check = (world) => {
  const pod = reported(world).find(({ report }) => (report?.queue.loginsRefused.length ?? 0) > 0);
  const refusal = pod?.report?.queue.loginsRefused[0];
  if (!pod || !refusal) return undefined;
  const text = `Mail for ${refusal.destination} is held back: ${refusal.message}`;
  return is('False', 'LoginRefused', `Pod ${pod.name}: ${text}`);
};

export const referenceMissing: Check = (world) => {
  const pod = reported(world).find(({ report }) => (report?.missing.length ?? 0) > 0);
  return pod && is('False', 'ReferenceMissing', `Pod ${pod.name}: spec.${pod.report?.missing[0]}`);
};

/** Behind such a Service kube-proxy may put the address of a node in place of that of the client. */
export const addressMayBeNode: Check = ({ relay, policy }) => {
  const { type = 'ClusterIP', externalTrafficPolicy } = relay.spec.service ?? {};
  if (type === 'ClusterIP' || externalTrafficPolicy !== 'Cluster' || !policy) return undefined;
  const { listeners, clientPolicies } = policy.inbound;
  const blind = listeners.find(
    ({ clients, proxyNetworks }) =>
      proxyNetworks.length === 0 && (clients.networks.length > 0 || clientPolicies.length > 0),
  );
  if (!blind) return undefined;
  const text = `Client networks are set for listener ${blind.name}, but with service.externalTrafficPolicy: Cluster the address may be that of a node`;
  return is('False', 'AddressMayBeNode', `${text}: set Local, or proxyProtocol`);
};

export const acceptedDomainReturns: Check = ({ policy }) => {
  if (!policy || policy.outbound.smartHosts.length === 0) return undefined;
  const { routes } = policy.outbound;
  const returned = policy.inbound.acceptDomains.find(
    (domain) =>
      !routes.some(
        ({ recipientDomains }) => recipientDomains === null || matcherOf(recipientDomains)(domain),
      ),
  );
  if (returned === undefined) return undefined;
  const text = `Mail for ${returned} is accepted and goes to a smart host, which would send it back`;
  return is('False', 'AcceptedDomainReturns', `${text}: add a route for it`);
};

export const nobodyCanLogIn: Check = ({ policy }) => {
  const listeners = policy?.inbound.listeners ?? [];
  const hasUsers = listeners.some(({ clients }) => clients.usersSecret !== null || clients.oauth !== null);
  if (!hasUsers || listeners.some(({ auth }) => auth !== 'Disabled')) return undefined;
  const text =
    'clients has credentialsSecretName or oauth, but no listener has auth, so that nobody can log in';
  return is('False', 'NobodyCanLogIn', `${text}: set auth on a listener`);
};

/** What mail flows without, by the beginning of its name, and what is different then. */
const EXTRAS: readonly (readonly [string, string])[] = [
  [
    'PodMonitor/',
    'Prometheus does not find the metrics: correct what refuses it, or set podMonitor.enabled: false',
  ],
  [
    'PodDisruptionBudget/',
    'a drained node may take all pods at once: correct what refuses it, or set podDisruptionBudget.enabled: false',
  ],
  [
    REFRESH,
    'changed policies and certificates take a minute or two: correct what refuses the annotation mailrelay.dev/refresh',
  ],
];

/** True where mail needs the object, so that a failure there is one of the relay. */
export function isNeeded({ object }: Obstacle): boolean {
  return consequenceOf(object) === undefined;
}

function consequenceOf(object: string): string | undefined {
  return EXTRAS.find(([beginning]) => object.startsWith(beginning))?.[1];
}

export const extraRefused: Check = ({ obstacles }) => {
  const extra = obstacles.find((obstacle) => !isNeeded(obstacle));
  if (!extra) return undefined;
  const text = `Mail flows, but ${extra.object} is not as it should be (${reasonFor(extra)})`;
  return is('False', 'ExtraRefused', `${text}, and ${consequenceOf(extra.object)}`);
};

function reasonFor(obstacle: Obstacle): string {
  if (obstacle.kind === 'nameTaken') return 'one of that name belongs to someone else';
  if (obstacle.kind === 'denied') return obstacle.message;
  return obstacle.kind === 'failed' ? obstacle.error.message : 'it waits for its turn';
}

export const nothingToNote: Check = () => is('True', 'NothingToNote', 'Nothing to note');

export const mailWaiting: Check = (world) => {
  const pod = reported(world).find(({ report }) => (report?.queue.oldestSeconds ?? 0) > HOUR_SECONDS);
  const deferral = pod?.report?.queue.deferrals[0];
  const why = deferral ? `${deferral.destination}: ${deferral.message}` : 'see the log of the pod';
  return (
    pod && is('False', 'MailWaiting', `Pod ${pod.name} has mail that waits for more than an hour: ${why}`)
  );
};

export const queueMoving: Check = () => is('True', 'QueueMoving', 'Mail goes out as it comes in');

export const scaledToZero: Check = ({ relay }) =>
  relay.spec.replicas === 0 ? is('True', 'ScaledToZero', 'No pods are wanted') : undefined;

export const podsNotReady: Check = ({ relay, pods }) => {
  const ready = pods.filter((pod) => pod.ready && !pod.deleting).length;
  if (ready >= relay.spec.replicas) return undefined;
  const why = pods.find(({ report }) => report && report.notReady.length > 0);
  const rest = why ? `; pod ${why.name}: ${why.report?.notReady.join('; ')}` : '';
  return is('False', 'PodsNotReady', `${ready} of ${relay.spec.replicas} pods are ready${rest}`);
};

/** Ready waits for the policy too: ready means "as the spec says". */
export const policyNotYet: Check = (world) => policyPending(world);

export const serving: Check = ({ relay }) =>
  is('True', 'Serving', `All ${relay.spec.replicas} pods serve the wanted policy`);

export const rolloutWaits: Check = ({ obstacles }) =>
  obstacles.some(({ kind }) => kind === 'waitsForTurn')
    ? is('True', 'RolloutWaits', 'New pods wait for their turn: a few relays are replaced at a time')
    : undefined;

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
  return done
    ? undefined
    : is('True', 'RollingOut', `${status.readyReplicas ?? 0} of ${wanted} pods are ready`);
};

export const policyChanging: Check = (world) => {
  const pending = policyPending(world);
  return pending && is('True', 'PolicyChanging', pending.message);
};

/** Pods that have the wanted policy in force for every new session. */
export function podsWithPolicy({ policy, pods }: World): PodView[] {
  const wanted = policy && hashOf(policy);
  return pods.filter(({ report }) => report !== undefined && report.policy.hash === wanted);
}
