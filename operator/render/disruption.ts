/** At most one pod of a relay may be away for a voluntary disruption. Pure. */
import type { MailRelay } from '#crds/mailrelay.ts';
import { selectorLabels } from '#crds/wellknown.ts';
import { metadataOf } from './metadata.ts';
import type { Rendered } from './rendered.ts';

export function renderDisruptionBudget(relay: MailRelay): Rendered {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: metadataOf(relay, relay.metadata.name),
    spec: { maxUnavailable: 1, selector: { matchLabels: selectorLabels(relay.metadata.name) } },
  };
}
