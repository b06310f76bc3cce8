/**
 * The Secrets of all certificates of a relay, by their effective names, set or by default. Two Certificates that fill one
 * Secret overwrite each other for ever. A certificate without an issuer only reads its Secret, which may be that of
 * another certificate. The API server knows only the names that are written, so its rules find less than this. Pure.
 */
import { certificateSecretName, internalSecretName, sniSecretName } from './effective.ts';
import { policyHostSecretName } from './effectivedns.ts';
import type { MailRelaySpec } from './mailrelay.ts';
import type { CertificateSource } from './tls.ts';

export interface CertificateSecret {
  readonly secret: string;
  /** The field of the certificate, below spec. */
  readonly keys: readonly (string | number)[];
  /** True if cert-manager fills it. False if it is only read. */
  readonly isIssued: boolean;
}

interface CertificateField extends Pick<CertificateSecret, 'keys'> {
  readonly source: Pick<CertificateSource, 'issuerRef'> | undefined;
  /** undefined: there is no such certificate. */
  readonly nameSecret: (relayName: string, spec: MailRelaySpec) => string | undefined;
}

/** All that a spec can have. That of the host name comes first. */
function listCertificateFields({ tls, dns }: MailRelaySpec): CertificateField[] {
  return [
    { keys: ['tls'], source: tls, nameSecret: certificateSecretName },
    { keys: ['tls', 'internal'], source: tls?.internal, nameSecret: internalSecretName },
    ...(tls?.certificates ?? []).map((source, index) => ({
      keys: ['tls', 'certificates', index],
      source,
      nameSecret: (relayName: string) => sniSecretName(relayName, source),
    })),
    { keys: ['dns', 'mtaSTS', 'serve'], source: dns?.mtaSTS?.serve, nameSecret: policyHostSecretName },
  ];
}

export function listCertificateSecrets(relayName: string, spec: MailRelaySpec): CertificateSecret[] {
  return listCertificateFields(spec).flatMap(({ keys, source, nameSecret }) => {
    const secret = nameSecret(relayName, spec);
    return secret === undefined ? [] : [{ secret, keys, isIssued: source?.issuerRef !== undefined }];
  });
}

/** The fields that name an issuer. */
export function listIssuerFields(spec: MailRelaySpec): string[] {
  return listCertificateFields(spec).flatMap(({ keys, source }) =>
    source?.issuerRef === undefined ? [] : [`${nameField(keys)}.issuerRef`],
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
