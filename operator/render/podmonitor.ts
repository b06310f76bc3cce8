/** Tells the Prometheus operator where the metrics of the pods are; by number, because no ports are rendered. Pure. */
import type { MailRelay } from '#crds/mailrelay.ts';
import { ADMIN_PORT, selectorLabels } from '#crds/wellknown.ts';
import { metadataOf } from './metadata.ts';
import type { Rendered } from './rendered.ts';

export function renderPodMonitor(relay: MailRelay): Rendered {
  return {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PodMonitor',
    metadata: metadataOf(relay, relay.metadata.name),
    spec: {
      selector: { matchLabels: selectorLabels(relay.metadata.name) },
      podMetricsEndpoints: [{ portNumber: ADMIN_PORT, path: '/metrics' }],
    },
  };
}
