/**
 * TLSA records (RFC 6698, RFC 7671) and the certificates of a next hop: which records are usable, and which certificates
 * of the chain they match. The match is made with the X.509 code of Node. A match of DANE-TA is only a trust anchor:
 * OpenSSL verifies the chain up to it, in the handshake. Pure.
 */
import { createHash, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { FailureCause } from '#crds/failure.ts';
import type { TlsaRecord } from './tlsfindings.ts';

/** A record as it came from the DNS. */
interface RawTlsa {
  readonly usage: number;
  readonly selector: number;
  readonly matching: number;
  /** In hexadecimal. */
  readonly data: string;
}

export interface TlsaProblem {
  readonly cause: FailureCause;
  readonly text: string;
}

/** anchors: the hop is proven if its chain leads to one of them. In PEM. */
export type TlsaMatch =
  | { readonly kind: 'proven' }
  | { readonly kind: 'anchors'; readonly anchors: readonly string[] }
  | { readonly kind: 'none'; readonly problem: TlsaProblem };

const DIGESTS = { 1: { name: 'sha256', digits: 64 }, 2: { name: 'sha512', digits: 128 } } as const;
const TRUST_ANCHOR = 2;
const END_ENTITY = 3;

/**
 * The records that can be used: DANE-TA and DANE-EE only (RFC 7672 section 3.1.3), of known parameters and with
 * content of the right form. Of two digests of the same kind only the stronger one counts (RFC 7671 section 9).
 */
export function usableRecords(all: readonly RawTlsa[]): TlsaRecord[] {
  const usable = all.flatMap((raw) => readRecord(raw) ?? []);
  return usable.filter(
    ({ usage, selector, matching }) =>
      matching !== 1 ||
      !usable.some((one) => one.usage === usage && one.selector === selector && one.matching === 2),
  );
}

function readRecord({ usage, selector, matching, data }: RawTlsa): TlsaRecord | undefined {
  if (usage !== TRUST_ANCHOR && usage !== END_ENTITY) return undefined;
  if (selector !== 0 && selector !== 1) return undefined;
  if (matching !== 0 && matching !== 1 && matching !== 2) return undefined;
  const isWellFormed = matching === 0 ? isReadable(selector, data) : data.length === DIGESTS[matching].digits;
  return isWellFormed ? { usage, selector, matching, data } : undefined;
}

function isReadable(selector: 0 | 1, data: string): boolean {
  const content = Buffer.from(data, 'hex');
  return selector === 0 ? readCertificate(content) !== undefined : readKey(content) !== undefined;
}

/**
 * `chain`: the certificate of the hop, then its issuers. DANE-EE needs no name, no date and no chain (RFC 7672 section
 * 3.1.1). DANE-TA needs all of them (section 3.1.2).
 */
export function matchChain(chain: readonly X509Certificate[], records: readonly TlsaRecord[]): TlsaMatch {
  const [leaf] = chain;
  if (leaf === undefined) return noMatch('it has no certificate');
  const of = (usage: number) => records.filter((record) => record.usage === usage);
  if (of(END_ENTITY).some((record) => isMatch(leaf, record))) return { kind: 'proven' };
  const anchors = of(TRUST_ANCHOR).flatMap((record) => findAnchors(leaf, chain, record));
  if (anchors.length === 0) return noMatch('no TLSA record matches its certificate');
  return { kind: 'anchors', anchors: [...new Set(anchors.map(String))] };
}

function noMatch(text: string): TlsaMatch {
  return { kind: 'none', problem: { cause: 'tlsa-invalid', text } };
}

/** A trust anchor is no end entity. A self-signed certificate may be in its chain twice. */
function findAnchors(
  leaf: X509Certificate,
  chain: readonly X509Certificate[],
  record: TlsaRecord,
): X509Certificate[] {
  if (isMatch(leaf, record)) return [];
  const inChain = chain.filter((certificate) => isMatch(certificate, record));
  if (inChain.length > 0 || record.matching !== 0) return inChain;
  // The record has the trust anchor itself, so the hop need not send it (RFC 7671 section 5.2.2).
  const data = Buffer.from(record.data, 'hex');
  if (record.selector === 0) {
    const anchor = readCertificate(data);
    return anchor && chain.some((certificate) => certificate.checkIssued(anchor)) ? [anchor] : [];
  }
  // Node gives OpenSSL no bare key to trust. What the key signed is as good as the key.
  const key = readKey(data);
  return key ? chain.filter((certificate) => isSignedBy(certificate, key)) : [];
}

function isMatch(certificate: X509Certificate, { selector, matching, data }: TlsaRecord): boolean {
  const content = selector === 0 ? certificate.raw : readSpki(certificate);
  if (content === undefined) return false;
  if (matching === 0) return content.toString('hex') === data;
  return createHash(DIGESTS[matching].name).update(content).digest('hex') === data;
}

/** Undefined for a key of an unknown kind. */
function readSpki(certificate: X509Certificate): Buffer | undefined {
  try {
    return certificate.publicKey.export({ type: 'spki', format: 'der' });
  } catch {
    return undefined;
  }
}

function isSignedBy(certificate: X509Certificate, key: KeyObject): boolean {
  try {
    return certificate.verify(key);
  } catch {
    return false;
  }
}

function readCertificate(data: Buffer): X509Certificate | undefined {
  try {
    const certificate = new X509Certificate(data);
    // The constructor reads PEM too, and a longer text.
    return certificate.raw.equals(data) ? certificate : undefined;
  } catch {
    return undefined;
  }
}

function readKey(key: Buffer): KeyObject | undefined {
  try {
    return createPublicKey({ key, format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}
