/**
 * The cert-manager Certificate that fills the Secret, where the MailRelay names an issuer. Only serverAuth: public
 * issuers no longer give clientAuth. No duration: ACME issuers decide that themselves. Pure.
 */
import { certificateSecretName } from '#crds/effective.ts';
import type { MailRelay } from '#crds/mailrelay.ts';
import { metadataOf } from './metadata.ts';
import type { Rendered } from './rendered.ts';

export function renderCertificate(relay: MailRelay): Rendered | undefined {
  const issuer = relay.spec.tls?.issuerRef;
  const secretName = certificateSecretName(relay.metadata.name, relay.spec);
  if (!issuer || secretName === undefined) return undefined;
  return {
    apiVersion: 'cert-manager.io/v1',
    kind: 'Certificate',
    metadata: metadataOf(relay, relay.metadata.name),
    spec: {
      secretName,
      dnsNames: [relay.spec.hostname],
      issuerRef: {
        name: issuer.name,
        kind: issuer.kind ?? 'Issuer',
        group: issuer.group ?? 'cert-manager.io',
      },
      usages: ['digital signature', 'server auth'],
      privateKey: { algorithm: 'ECDSA', size: 256, rotationPolicy: 'Always' },
      renewBeforePercentage: 33,
    },
  };
}
