/**
 * The one place that says whether a certificate has a name. A wildcard stands for the whole left-most label only
 * (RFC 9525 section 6.3). OpenSSL compares. Pure.
 */
import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

/**
 * san: only names of the subjectAltName count, as MTA-STS wants it (RFC 8461 sections 3.3 and 4.2). any: the common name counts
 * too where no DNS name is in the subjectAltName, as DANE and REQUIRETLS have it (RFC 7672, RFC 8689) and Postfix does.
 */
export type NameSource = 'san' | 'any';

export function hasName(certificate: X509Certificate, name: string, source: NameSource): boolean {
  if (isIP(name) !== 0) return certificate.checkIP(name) !== undefined;
  const subject = source === 'san' ? 'never' : 'default';
  return certificate.checkHost(name, { subject, partialWildcards: false }) !== undefined;
}
