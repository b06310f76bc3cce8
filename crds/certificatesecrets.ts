/**
 * The Secrets of all certificates of a relay, by their effective names, set or by default. Two certificates in one Secret
 * overwrite each other for ever, where cert-manager fills it for one of them. The API server knows only the names that
 * are written, so its rules find less than this. Pure.
 */
import { certificateSecretName, internalSecretName, listSniCertificates } from './effective.ts';
import { policyHostSecretName } from './effectivedns.ts';
import type { MailRelaySpec } from './mailrelay.ts';

export interface CertificateSecret {
  readonly secret: string;
  /** The field of the certificate, below spec. */
  readonly keys: readonly (string | number)[];
  /** True if cert-manager fills it, false if a person does. */
  readonly isIssued: boolean;
}

/** That of the host name comes first. */
export function listCertificateSecrets(relayName: string, spec: MailRelaySpec): CertificateSecret[] {
  const { tls, dns } = spec;
  const all = [
    { secret: certificateSecretName(relayName, spec), keys: ['tls'], source: tls },
    { secret: internalSecretName(relayName, spec), keys: ['tls', 'internal'], source: tls?.internal },
    ...listSniCertificates(relayName, spec).map((source, index) => ({
      ...{ secret: source.secret, keys: ['tls', 'certificates', index], source },
    })),
    {
      ...{ secret: policyHostSecretName(relayName, spec), keys: ['dns', 'mtaSTS', 'serve'] },
      source: dns?.mtaSTS?.serve,
    },
  ];
  return all.flatMap(({ secret, keys, source }) =>
    secret === undefined ? [] : [{ secret, keys, isIssued: source?.issuerRef !== undefined }],
  );
}

/** The first two certificates that share a Secret which cert-manager fills. */
export function findSharedSecret(
  relayName: string,
  spec: MailRelaySpec,
): readonly [CertificateSecret, CertificateSecret] | undefined {
  const all = listCertificateSecrets(relayName, spec);
  for (const [index, one] of all.entries()) {
    const other = all.slice(0, index).find(({ secret }) => secret === one.secret);
    if (other && (one.isIssued || other.isIssued)) return [other, one];
  }
  return undefined;
}

/** `tls.certificates[0]` */
export function nameField(keys: CertificateSecret['keys']): string {
  return keys
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`))
    .join('')
    .slice(1);
}
