/**
 * The PodMonitor, by which the Prometheus operator finds the metrics of the pods. It names the port, because every
 * version of the CRD has that field. Pure.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import { ADMIN_PORT_NAME, selectorLabels } from '#crds/wellknown.ts';
import { given, withLabels } from './given.ts';
import { renderMetadata } from './metadata.ts';
import type { Rendered } from './rendered.ts';

export function renderPodMonitor(relay: MailRelay): Rendered | undefined {
  const { podMonitor } = relay.spec;
  if (podMonitor?.enabled === false) return undefined;
  return {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PodMonitor',
    metadata: withLabels(renderMetadata(relay, relay.metadata.name), podMonitor?.labels),
    spec: {
      selector: { matchLabels: selectorLabels(relay.metadata.name) },
      podMetricsEndpoints: [{ port: ADMIN_PORT_NAME, path: '/metrics', ...given(podMonitor, ['interval']) }],
    },
  };
}
