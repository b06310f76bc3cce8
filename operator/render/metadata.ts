/**
 * Names, labels and owner of the objects of one MailRelay. Labels follow the recommended scheme. Labels and annotations
 * of the MailRelay are not copied, because tools such as Argo CD read ownership from them. Pure.
 */
import type { MailRelay } from '#crds/mailrelay.ts';
import { hashContent } from '#crds/policyfile.ts';
import { API_VERSION, FIELD_MANAGER, KIND, selectorLabels } from '#crds/wellknown.ts';
import type { Rendered } from './rendered.ts';

export function renderMetadata(relay: MailRelay, name: string): Rendered['metadata'] {
  return {
    name,
    namespace: relay.metadata.namespace,
    labels: managedLabels(relay.metadata.name),
    // Without blockOwnerDeletion: clusters that check owners require a permission on mailrelays/finalizers for it, and
    // no deletion waits for these objects.
    ownerReferences: [
      {
        apiVersion: API_VERSION,
        kind: KIND,
        name: relay.metadata.name,
        uid: relay.metadata.uid,
        controller: true,
      },
    ],
  };
}

export function managedLabels(relayName: string): Record<string, string> {
  return {
    ...selectorLabels(relayName),
    'app.kubernetes.io/managed-by': FIELD_MANAGER,
    'app.kubernetes.io/part-of': 'mailrelay',
  };
}

export const objectNames = {
  policy: (relay: string) => `${relay}-policy`,
  pods: (relay: string) => `${relay}-pods`,
  /** The host name by which the other pods reach a pod. */
  host: (relay: string, namespace: string, ordinal: number) =>
    `${relay}-${ordinal}.${relay}-pods.${namespace}.svc`,
  internalCertificate: (relay: string) => `${relay}-internal`,
  /** The Certificate has the name of its Secret. */
  isSniCertificate: (relay: string, name: string) =>
    name.startsWith(`${relay}-tls-`) && /^[0-9a-f]{8}$/.test(name.slice(`${relay}-tls-`.length)),
  /** The Certificate for another Secret, while a key that DNS publishes rolls over. It keeps its name. */
  secondCertificate: (relay: string, secret: string) => `${relay}-${hashContent(secret).slice(0, 5)}`,
  policyHostCertificate: (relay: string) => `${relay}-mta-sts`,
  authority: (relay: string) => `${relay}-ca`,
  /** The common part of the names of all claims, before the ordinal. */
  claim: (relay: string) => `spool-${relay}`,
};
