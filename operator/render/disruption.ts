/**
 * The disruption budget: at most one pod of a relay may be away for a voluntary disruption. A pod that leaves does not
 * count, and a pod that is not ready takes no mail anyway, so neither keeps a node from being drained. The budget is a
 * number and not a share, because a share would count all replicas of the StatefulSet, with the pods that leave. Pure.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import { servingLabels } from '#crds/wellknown.ts';
import { renderMetadata } from './metadata.ts';
import type { Rendered } from './rendered.ts';

export function renderDisruptionBudget(relay: MailRelay): Rendered | undefined {
  if (relay.spec.podDisruptionBudget?.enabled === false) return undefined;
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: renderMetadata(relay, relay.metadata.name),
    spec: {
      minAvailable: Math.max(0, relay.spec.replicas - 1),
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
      selector: { matchLabels: servingLabels(relay.metadata.name) },
    },
  };
}
