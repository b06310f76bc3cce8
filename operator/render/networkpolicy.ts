/**
 * The NetworkPolicy of the relay pods. The port of a listener is open to the peers in its allowFrom, or to anyone
 * without one (the relay itself decides who may relay). The admin port is open to the operator and to the peers in
 * metricsFrom, the handover port to the siblings. Outgoing connections are not restricted. Pure.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import type { Peer } from '#crds/peers.ts';
import type { Policy } from '#crds/policyfile.ts';
import { ADMIN_PORT, GROUP, HANDOVER_PORT, selectorLabels, servedPort } from '#crds/wellknown.ts';
import { renderMetadata } from './metadata.ts';
import type { Rendered, RenderSettings } from './rendered.ts';

const MONITORING: Peer = { namespaceSelector: { matchLabels: { [`${GROUP}/monitoring`]: 'true' } } };

export function renderNetworkPolicy(
  relay: MailRelay,
  policy: Policy,
  settings: RenderSettings,
): Rendered | undefined {
  const { networkPolicy } = relay.spec;
  if (networkPolicy?.enabled === false) return undefined;
  const { name } = relay.metadata;
  const monitoring = renderPeers(networkPolicy?.metricsFrom ?? [MONITORING]);
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: renderMetadata(relay, name),
    spec: {
      podSelector: { matchLabels: selectorLabels(name) },
      policyTypes: ['Ingress'],
      ingress: [
        ...listenerRules(relay, policy),
        {
          from: [namespaceNamed(settings.operatorNamespace), ...monitoring],
          ports: [{ protocol: 'TCP', port: ADMIN_PORT }],
        },
        {
          from: [{ podSelector: { matchLabels: selectorLabels(name) } }],
          ports: [{ protocol: 'TCP', port: HANDOVER_PORT }],
        },
      ],
    },
  };
}

/** One rule for all that is open to anyone, as the policy of MTA-STS is, and one for each other listener. */
function listenerRules({ spec }: MailRelay, { inbound, policyHost }: Policy) {
  const listeners = inbound.listeners.map(({ name, port }) => ({
    allowFrom: spec.inbound.listeners.find((listener) => listener.name === name)?.allowFrom,
    ports: [{ protocol: 'TCP', port: servedPort(port) }],
  }));
  const open = [
    ...listeners.filter(({ allowFrom }) => !allowFrom).flatMap(({ ports }) => ports),
    ...(policyHost ? [{ protocol: 'TCP', port: servedPort(policyHost.port) }] : []),
  ];
  return [
    ...(open.length > 0 ? [{ ports: open }] : []),
    ...listeners.flatMap(({ allowFrom, ports }) =>
      allowFrom ? [{ from: renderPeers(allowFrom), ports }] : [],
    ),
  ];
}

/** Peers in the form that the API server stores: without empty maps, because these would differ for ever. */
function renderPeers(peers: readonly Peer[]) {
  return peers.map(({ podSelector, namespaceSelector, ipBlock }) => ({
    ...(podSelector ? { podSelector: renderSelector(podSelector) } : {}),
    ...(namespaceSelector ? { namespaceSelector: renderSelector(namespaceSelector) } : {}),
    ...(ipBlock ? { ipBlock } : {}),
  }));
}

function renderSelector({ matchLabels = {}, matchExpressions }: NonNullable<Peer['podSelector']>) {
  return {
    ...(Object.keys(matchLabels).length > 0 ? { matchLabels } : {}),
    ...(matchExpressions ? { matchExpressions } : {}),
  };
}

function namespaceNamed(name: string) {
  return { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } } };
}
