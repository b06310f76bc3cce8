/**
 * At most one pod of a relay may be away for a voluntary disruption. One that leaves is not counted, whatever becomes of
 * it, and one that is not ready takes no mail anyway: neither keeps a node from being drained. The number is of those that
 * stay, because a share would be of the places of the StatefulSet, which has those that leave too. Pure.
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
