/**
 * The Secrets of all certificates of a relay, by their effective names, set or by default. Two Certificates that fill one
 * Secret overwrite each other for ever. A certificate without an issuer only reads its Secret, which may be that of
 * another certificate. The API server knows only the names that are written, so its rules find less than this. Pure.
 */
import { certificateSecretName, internalSecretName, listSniCertificates } from './effective.ts';
import { policyHostSecretName } from './effectivedns.ts';
import type { MailRelaySpec } from './mailrelay.ts';

export interface CertificateSecret {
  readonly secret: string;
  /** The field of the certificate, below spec. */
  readonly keys: readonly (string | number)[];
  /** True if cert-manager fills it. False if it is only read. */
  readonly isIssued: boolean;
}

/** That of the host name comes first. */
export function listCertificateSecrets(relayName: string, spec: MailRelaySpec): CertificateSecret[] {
  const { tls, dns } = spec;
  const all = [
    { secret: certificateSecretName(relayName, spec), keys: ['tls'], source: tls },
    { secret: internalSecretName(relayName, spec), keys: ['tls', 'internal'], source: tls?.internal },
    ...listSniCertificates(relayName, spec).map((source, index) => ({
      secret: source.secret,
      keys: ['tls', 'certificates', index],
      source,
    })),
    {
      secret: policyHostSecretName(relayName, spec),
      keys: ['dns', 'mtaSTS', 'serve'],
      source: dns?.mtaSTS?.serve,
    },
  ];
  return all.flatMap(({ secret, keys, source }) =>
    secret === undefined ? [] : [{ secret, keys, isIssued: source?.issuerRef !== undefined }],
  );
}

/** The first two certificates that cannot share their Secret. */
export function findSharedSecret(
  relayName: string,
  spec: MailRelaySpec,
): readonly [CertificateSecret, CertificateSecret] | undefined {
  const all = listCertificateSecrets(relayName, spec);
  const users = hostSecretOfUser(relayName, spec);
  for (const [index, one] of all.entries()) {
    if (!one.isIssued) continue;
    const other = all
      .slice(0, index)
      .find(({ secret, isIssued }) => secret === one.secret && (isIssued || secret === users));
    if (other) return [other, one];
  }
  return undefined;
}

/** The Secret of the host name, if a person fills it. A new Certificate for something else must not overwrite it. */
export function hostSecretOfUser(relayName: string, spec: MailRelaySpec): string | undefined {
  return spec.tls?.issuerRef ? undefined : certificateSecretName(relayName, spec);
}

/** `tls.certificates[0]` */
export function nameField(keys: CertificateSecret['keys']): string {
  return keys
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`))
    .join('')
    .slice(1);
}
