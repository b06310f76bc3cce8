/** The policy file, as the pods mount it; the file name carries the version of its format. Pure. */
import type { MailRelay } from '#crds/mailrelay.ts';
import { POLICY_FILE_NAME, type Policy, printPolicy } from '#crds/policyfile.ts';
import { metadataOf, objectNames } from './metadata.ts';
import type { Rendered } from './rendered.ts';

export function renderConfigMap(relay: MailRelay, policy: Policy): Rendered {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: metadataOf(relay, objectNames.policy(relay.metadata.name)),
    data: { [POLICY_FILE_NAME]: printPolicy(policy) },
  };
}
