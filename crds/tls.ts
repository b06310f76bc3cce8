/**
 * The sources of a relay's certificates: shapes and bounds. Part of the single source, see mailrelay.ts. The fields of
 * a source have the names of cert-manager's Certificate.
 */
import { z } from 'zod';
import { domainPatterns, domains, duration, host, objectName, text } from './shapes.ts';
import { MOST_SNI_CERTIFICATES } from './sni.ts';

const issuerRef = () =>
  z
    .object({
      name: objectName().describe('Name of the cert-manager issuer.'),
      kind: text('^[A-Z][A-Za-z0-9]*$', 63, 'a kind, such as ClusterIssuer')
        .optional()
        .describe(
          'Kind of the issuer: Issuer or ClusterIssuer, or with a group of its own any kind, such as AWSPCAClusterIssuer, which must be set then. Default: Issuer.',
        ),
      group: text('^[a-z0-9.-]+$', 253, 'an API group')
        .optional()
        .describe('API group of the issuer, such as awspca.cert-manager.io. Default: cert-manager.io.'),
    })
    .optional()
    .describe(
      'The cert-manager issuer to ask for a certificate. When set, the operator owns a Certificate that fills the Secret; when absent, the Secret is yours to fill.',
    );

/** Where a certificate comes from: a Secret, which an issuer of cert-manager may fill. */
export const pairSource = (secretName: string) => ({
  secretName: objectName()
    .optional()
    .describe(
      `Name of the kubernetes.io/tls Secret that the relay pods mount. Default: the name of the MailRelay followed by "${secretName}" when issuerRef is set. A renewed Secret is served without any restart.`,
    ),
  issuerRef: issuerRef(),
});

const source = (secretName: string) => ({
  ...pairSource(secretName),
  duration: duration()
    .optional()
    .describe(
      'How long a certificate shall be valid, such as 90d; at least 1h. Some issuers decide that themselves. Only with issuerRef. Default: what the issuer gives, mostly 90d.',
    ),
  renewBefore: duration()
    .optional()
    .describe(
      'How long before its end a certificate is renewed, such as 30d; at least 5m, and less than its duration. Only with issuerRef. Default: a third of its time.',
    ),
  privateKey: z
    .object({
      algorithm: z.enum(['ECDSA', 'RSA', 'Ed25519']).optional().describe('Default: ECDSA.'),
      size: z
        .int()
        .min(256)
        .max(8192)
        .optional()
        .describe(
          'Bits. ECDSA: 256 (the default), 384 or 521. RSA: 2048 (the default) to 8192. Ed25519 has none.',
        ),
    })
    .optional()
    .describe(
      'The key that cert-manager makes, a new one for each certificate unless dns.tlsa publishes it. Only with issuerRef. Default: ECDSA P-256.',
    ),
});

/** More of them would make a CEL rule cost more than the API server allows. */
const MOST_SNI_NAMES = 16;

const sniCertificate = z.object({
  hostnames: domainPatterns(MOST_SNI_NAMES).describe(
    'Names that get this certificate: mail.example.com, or *.example.com for every name with one more label. A full name counts before a wildcard. The certificate must cover all of them.',
  ),
  secretName: objectName()
    .optional()
    .describe(
      'Name of the kubernetes.io/tls Secret that you fill. Either this or issuerRef. A renewed Secret is served without any restart.',
    ),
  issuerRef: issuerRef(),
});

export const tls = z
  .object({
    ...source('-tls'),
    dnsNames: domainPatterns(64)
      .optional()
      .describe(
        'Further names of the certificate beside hostname, such as mail.example.com or *.example.com. Only with issuerRef. Its common name is the first of all names that has at most 64 characters, hostname before the others.',
      ),
    minVersion: z
      .enum(['TLSv1.2', 'TLSv1.3'])
      .optional()
      .describe('Oldest TLS version that inbound sessions may negotiate. Default: TLSv1.2.'),
    certificates: z
      .array(sniCertificate)
      .min(1)
      .max(MOST_SNI_CERTIFICATES)
      .optional()
      .describe(
        'Certificates for other host names of the relay, on the same ports. A client that asks for one of the names (SNI) gets its certificate; every other client gets that of hostname.',
      ),
    internal: z
      .object({
        ...source('-internal-tls'),
        dnsNames: domains(64)
          .optional()
          .describe(
            'Further names that clients inside the cluster use, such as smtp.corp.example; they get this certificate too. Only with issuerRef.',
          ),
        clusterDomain: host().optional().describe('DNS domain of the cluster. Default: cluster.local.'),
      })
      .optional()
      .describe(
        'A second certificate, for the names of the Service inside the cluster (NAME, NAME.NAMESPACE, NAME.NAMESPACE.svc, NAME.NAMESPACE.svc.cluster.local): served on the same ports to clients that ask for one of these names (SNI). Its authority, ca.crt of the Secret, is published in the ConfigMap NAME-ca, so that workloads can verify the relay; another authority is served two minutes after it is published there.',
      ),
  })
  .describe('The certificate of the relay. Mandatory unless every listener is Disabled for TLS.');

/** The source of the certificate for the host name, or of the internal one. */
export type CertificateSource = Omit<z.infer<typeof tls>, 'minVersion' | 'internal' | 'certificates'>;
