/**
 * At most one pod of a relay may be away for a voluntary disruption. One that is not ready, as one that leaves, takes no
 * mail anyway: it must not keep a node from being drained. Pure.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import { selectorLabels } from '#crds/wellknown.ts';
import { metadataOf } from './metadata.ts';
import type { Rendered } from './rendered.ts';

export function renderDisruptionBudget(relay: MailRelay): Rendered {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: metadataOf(relay, relay.metadata.name),
    spec: {
      maxUnavailable: 1,
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
      selector: { matchLabels: selectorLabels(relay.metadata.name) },
    },
  };
}
