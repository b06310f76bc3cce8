/**
 * The checks of specs that are valid but probably not what the user means. Each message names the field and the cure.
 * Pure.
 */
import { compilePatterns } from '#crds/patterns.ts';
import { RULES } from '#crds/rules.ts';
import type { KubeObject } from '../kube/client.ts';
import type { World } from '../world.ts';
import { type Check, is, reported } from './finding.ts';
import { findCure } from './kubecures.ts';
import { listed, quoted, verb } from './words.ts';

export const referenceMissing: Check = (world) => {
  const pod = reported(world).find(({ report }) => (report?.missing.length ?? 0) > 0);
  if (!pod) return undefined;
  const [first, ...others] = pod.report?.missing ?? [];
  const text = `Pod ${pod.name}: spec.${first}: create or complete it, or correct the field`;
  // Who mends the first alone would hear of them one by one.
  const fields = others.map((gap) => `spec.${gap.split(': ', 1)[0]}`);
  const also = fields.length === 0 ? '' : `; so it is with ${listed(fields)}`;
  return is('False', 'ReferenceMissing', `${text}${also}`);
};

/** Stored before the rule existed. A stored object that such a rule is about works on. */
export const storedBeforeRule: Check = ({ relay }) => {
  const broken = RULES.find((rule) => rule.tolerated !== undefined && !rule.holds(relay.spec));
  return (
    broken &&
    is(
      'False',
      'StoredBeforeRule',
      `${broken.path}: ${broken.message}; until then ${broken.tolerated?.meaning}`,
    )
  );
};

/** With externalTrafficPolicy: Cluster, kube-proxy may replace the address of the client by that of a node. */
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
      // A route of some senders is no way for the mail of all others.
      !routes.some(
        ({ recipientDomains, senders }) =>
          senders === null && (recipientDomains === null || compilePatterns(recipientDomains)(domain)),
      ),
  );
  if (returned === undefined) return undefined;
  const text = `Mail for ${returned} is accepted and goes to a smart host, which would send it back`;
  const cure = routes.some(({ senders }) => senders !== null)
    ? 'add a route for it without senders'
    : 'add a route for it';
  return is('False', 'AcceptedDomainReturns', `${text}: ${cure}`);
};

export const nobodyCanLogIn: Check = ({ policy }) => {
  const listeners = policy?.inbound.listeners ?? [];
  // A listener with auth and with clients of its own is none for these users.
  const withUsers = listeners.filter(({ clients }) => clients.usersSecret !== null || clients.oauth !== null);
  if (withUsers.length === 0 || withUsers.some(({ auth }) => auth !== 'Disabled')) return undefined;
  const text =
    'Users or tokens are set (clients.credentialsSecretName or oauth), but no listener that has them has auth, so that nobody can log in';
  return is('False', 'NobodyCanLogIn', `${text}: set auth on a listener`);
};

export const nothingToNote: Check = () => is('True', 'NothingToNote', 'Nothing to note');

/** No listener takes mail from anybody, for example because a misspelt field was dropped. */
export const nobodyMaySend: Check = ({ policy }) => {
  const { listeners = [], acceptDomains = [], tlsReports, feedbackReports } = policy?.inbound ?? {};
  if (listeners.length === 0 || acceptDomains.length > 0) return undefined;
  if (
    listeners.some(
      ({ clients, auth }) => clients.networks.length > 0 || clients.certificates || auth !== 'Disabled',
    )
  )
    return undefined;
  const what = tlsReports || feedbackReports ? 'no mail but reports' : 'mail from nobody';
  const text = `${verb(listeners.length, 'The listener takes', 'The listeners take')} ${what}`;
  return is(
    'False',
    'NobodyMaySend',
    `${text}: set inbound.clients.networks, logins or inbound.acceptDomains, and check the names of the fields`,
  );
};

/** The Service, while it should have an address from outside and has none. */
export function findPendingService({ relay, objects }: World): KubeObject | undefined {
  if (relay.spec.service?.type !== 'LoadBalancer') return undefined;
  const service = objects.get(`Service/${relay.metadata.name}`);
  const { loadBalancer } = (service?.['status'] ?? {}) as {
    loadBalancer?: { ingress?: readonly unknown[] };
  };
  return (loadBalancer?.ingress?.length ?? 0) > 0 ? undefined : service;
}

export const loadBalancerPending: Check = (world) => {
  const service = findPendingService(world);
  if (!service) return undefined;
  const name = `Service/${service.metadata.name}`;
  const text = `${name} has no address from outside yet`;
  const other = 'set service.loadBalancerClass or another service.type';
  const said = world.complaints?.find(({ object }) => object === name);
  if (!said) {
    const cure = `see its events, and whether the cluster has load balancers, or ${other}`;
    return is('False', 'LoadBalancerPending', `${text}: ${cure}`);
  }
  const cure = findCure(said.message) ?? `mend what the message names, or ${other}`;
  return is('False', 'LoadBalancerPending', `${text}: ${said.reason}: ${quoted(said.message)}: ${cure}`);
};
