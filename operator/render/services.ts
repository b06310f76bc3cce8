/**
 * The Service for clients, with one port per listener and one for the policy host of MTA-STS, and the headless Service that gives the pods their names. A port
 * below 1024 maps to the unprivileged port that the pod serves. Each port names its protocol, because a service mesh
 * that guesses the protocol waits for the client to speak first, and in SMTP the server does. Pure.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import type { Policy } from '#crds/policyfile.ts';
import {
  ADMIN_PORT,
  ADMIN_PORT_NAME,
  HANDOVER_PORT,
  POLICY_PORT_NAME,
  selectorLabels,
  servedPort,
  servingLabels,
} from '#crds/wellknown.ts';
import { given, withLabels } from './given.ts';
import { objectNames, renderMetadata } from './metadata.ts';
import type { Rendered } from './rendered.ts';

/** The default. With Local, clients on a node without a pod would reach nobody. */
const INTERNAL = 'Cluster';

/**
 * The Service stays even without listeners, because others may have noted its address. Connections are then refused.
 */
export function renderClientService(relay: MailRelay, policy: Policy): Rendered {
  const { policyHost } = policy;
  const isOff = policy.inbound.listeners.length === 0;
  const listeners = isOff ? relay.spec.inbound.listeners : policy.inbound.listeners;
  const { service } = relay.spec;
  const type = service?.type ?? 'ClusterIP';
  const external = type === 'ClusterIP' ? undefined : (service?.externalTrafficPolicy ?? 'Local');
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      ...withLabels(renderMetadata(relay, relay.metadata.name), service?.labels),
      ...given(service, ['annotations']),
    },
    spec: {
      type,
      internalTrafficPolicy: INTERNAL,
      ...(external ? { externalTrafficPolicy: external } : {}),
      ...given(service, ['loadBalancerClass', 'loadBalancerSourceRanges']),
      // The default is set explicitly, so that it is restored when the spec no longer sets the field.
      ipFamilyPolicy: service?.ipFamilyPolicy ?? 'SingleStack',
      // No client is sent to a pod that takes no mail.
      publishNotReadyAddresses: false,
      selector: servingLabels(relay.metadata.name),
      ports: [
        ...listeners.map(({ name, port }) => ({
          ...clientPort(name, port),
          ...given(
            relay.spec.inbound.listeners.find((listener) => listener.name === name),
            ['nodePort'],
          ),
        })),
        // The relay ends TLS itself, so that a mesh has nothing to guess in it either.
        ...(policyHost ? [clientPort(POLICY_PORT_NAME, policyHost.port)] : []),
      ],
    },
  };
}

function clientPort(name: string, port: number) {
  return { name, port, targetPort: servedPort(port), protocol: 'TCP', appProtocol: 'tcp' };
}

export function renderPodsService(relay: MailRelay): Rendered {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: renderMetadata(relay, objectNames.pods(relay.metadata.name)),
    spec: {
      type: 'ClusterIP',
      clusterIP: 'None',
      internalTrafficPolicy: INTERNAL,
      // Siblings and the operator also reach a pod that is not ready: it has a queue and a status.
      publishNotReadyAddresses: true,
      selector: selectorLabels(relay.metadata.name),
      ports: [
        {
          name: ADMIN_PORT_NAME,
          port: ADMIN_PORT,
          targetPort: ADMIN_PORT,
          protocol: 'TCP',
          appProtocol: 'http',
        },
        {
          name: 'handover',
          port: HANDOVER_PORT,
          targetPort: HANDOVER_PORT,
          protocol: 'TCP',
          appProtocol: 'tcp',
        },
      ],
    },
  };
}
