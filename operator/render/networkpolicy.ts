/**
 * Who may reach a relay pod: anyone on the listeners' ports (the relay itself decides who may relay), the operator and
 * namespaces that are labelled for monitoring on the admin port, its siblings on the port for queues. Outgoing mail may go anywhere. Pure.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import type { Policy } from '#crds/policyfile.ts';
import { ADMIN_PORT, GROUP, HANDOVER_PORT, selectorLabels, servedPort } from '#crds/wellknown.ts';
import { metadataOf } from './metadata.ts';
import type { Rendered, RenderSettings } from './rendered.ts';

const MONITORING_LABEL = `${GROUP}/monitoring`;

export function renderNetworkPolicy(relay: MailRelay, policy: Policy, settings: RenderSettings): Rendered {
  const listeners = policy.inbound.listeners.map(({ port }) => ({ protocol: 'TCP', port: servedPort(port) }));
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: metadataOf(relay, relay.metadata.name),
    spec: {
      podSelector: { matchLabels: selectorLabels(relay.metadata.name) },
      policyTypes: ['Ingress'],
      ingress: [
        ...(listeners.length > 0 ? [{ ports: listeners }] : []),
        {
          from: [
            {
              namespaceSelector: {
                matchLabels: { 'kubernetes.io/metadata.name': settings.operatorNamespace },
              },
            },
            { namespaceSelector: { matchLabels: { [MONITORING_LABEL]: 'true' } } },
          ],
          ports: [{ protocol: 'TCP', port: ADMIN_PORT }],
        },
        {
          from: [{ podSelector: { matchLabels: selectorLabels(relay.metadata.name) } }],
          ports: [{ protocol: 'TCP', port: HANDOVER_PORT }],
        },
      ],
    },
  };
}
