/** The ServiceAccount of the relay pods. It has no permissions, and no pod mounts its token. Pure. */
import type { MailRelay } from '#crds/mailrelay.ts';
import { given } from './given.ts';
import { renderMetadata } from './metadata.ts';
import type { Rendered } from './rendered.ts';

export function renderServiceAccount(relay: MailRelay): Rendered {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: {
      ...renderMetadata(relay, relay.metadata.name),
      ...given(relay.spec.serviceAccount, ['annotations']),
    },
    automountServiceAccountToken: false,
  };
}
