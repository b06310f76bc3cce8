/**
 * The names by which clients choose a certificate (SNI, RFC 6066 section 3), and the choice. The relay and `mailrelay
 * explain` choose by the same function. Pure.
 */
import type { Policy } from './policyfile.ts';

export const MOST_SNI_CERTIFICATES = 16;

/** The Secret of the certificate; null: that of the host name, which is also the one of every other name. */
export type ServedSecret = string | null;

/** Every name that decides, with its Secret. Where several parts of the policy have a name, the last one counts. */
export function mapServedNames({
  hostname,
  inbound: { internalTls, sniCertificates },
}: Pick<Policy, 'hostname' | 'inbound'>): ReadonlyMap<string, ServedSecret> {
  const certificates = [...sniCertificates, ...(internalTls ? [internalTls] : [])];
  return new Map<string, ServedSecret>([
    ...certificates.flatMap(({ secret, names }) => names.map((name) => [name, secret] as const)),
    [hostname, null],
  ]);
}

/** The name that decides about the name that a client asks for: itself, else the wildcard in place of its first label. */
export function findServedName(names: ReadonlyMap<string, ServedSecret>, asked: string): string | undefined {
  const name = asked.toLowerCase();
  return [name, name.replace(/^[^.]+/, '*')].find((one) => names.has(one));
}
