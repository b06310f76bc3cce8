/**
 * DNS records as values: their names and their data in the presentation form of zone files, which external-dns takes
 * too. The operator lists those of a relay, `mailrelay cert --tlsa` prints those of a certificate. Pure.
 */
import type { PublishedDkimKey } from './podstatus.ts';

export const RECORD_TYPES = ['TLSA', 'TXT', 'CNAME'] as const;

export interface DnsRecord {
  /** Without a final dot. */
  readonly name: string;
  readonly type: (typeof RECORD_TYPES)[number];
  readonly ttl: number;
  /** The data of each record of this name and type. */
  readonly values: readonly string[];
}

export const DEFAULT_TTL_SECONDS = 3_600;
/** Resolvers keep no record longer (RFC 8767 section 4 advises them so). */
export const LONGEST_TTL_SECONDS = 7 * 86_400;

const LONGEST_STRING = 255;

/** TLSA 3 1 1 (DANE-EE, the public key, SHA-256): the only form that RFC 7672 section 3.1 advises for all. */
export function tlsaValue(publicKeySha256: string): string {
  return `3 1 1 ${publicKeySha256}`;
}

export function tlsaName(host: string, port: number): string {
  return `_${port}._tcp.${host}`;
}

type DkimKey = Pick<PublishedDkimKey, 'type' | 'publicKey'>;

/** The text of a DKIM key (RFC 6376 section 3.6.1, RFC 8463). */
export function dkimText({ type, publicKey }: DkimKey): string {
  return `v=DKIM1; k=${type}; p=${publicKey}`;
}

/** The same as the data of a record. */
export function dkimValue(key: DkimKey): string {
  return quoteText(dkimText(key));
}

export function dkimName(domain: string, selector: string): string {
  return `${selector}._domainkey.${domain}`;
}

/** The text as quoted strings of at most 255 characters each, which readers join again. The text is ASCII. */
export function quoteText(text: string): string {
  const parts = text.match(new RegExp(`.{1,${LONGEST_STRING}}`, 'g')) ?? [''];
  return parts.map((part) => `"${part.replaceAll(/["\\]/g, '\\$&')}"`).join(' ');
}

/** The lines of a zone file. */
export function printRecord({ name, type, ttl, values }: DnsRecord): string[] {
  return values.map((value) => `${name}. ${ttl} IN ${type} ${value}`);
}
