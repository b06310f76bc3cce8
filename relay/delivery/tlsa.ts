/**
 * TLSA records (RFC 6698, RFC 7671) and the certificates of a next hop: which records are usable, and which certificates
 * of the chain they match. The match is made with the X.509 code of Node. A match of DANE-TA is only a trust anchor:
 * OpenSSL verifies the chain up to it, in the handshake. Pure.
 */
import { createHash, type KeyObject, X509Certificate } from 'node:crypto';
import type { FailureCause } from '#crds/failure.ts';
import { CHECKED_KEYS, readCheckedKey, readKey } from './checkedkey.ts';
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
  /** As in certificateerror.ts. */
  readonly mayPass?: true;
}

/** anchors: the hop is proven if its chain leads to one of them. In PEM. */
export type TlsaMatch =
  | { readonly kind: 'proven' }
  | { readonly kind: 'anchors'; readonly anchors: readonly string[] }
  | { readonly kind: 'none'; readonly problem: TlsaProblem };

const DIGESTS = { 1: { name: 'sha256', digits: 64 }, 2: { name: 'sha512', digits: 128 } } as const;
const TRUST_ANCHOR = 2;
const END_ENTITY = 3;

/** How many certificates of a chain count. A host has three or four. */
export const LONGEST_CHAIN = 10;
/** Of one handshake. A host that changes its key needs two keys, for each certificate of its chain. */
const MOST_CHECKS = 20;

/** A certificate, and whether a record matches it. */
interface Link {
  readonly certificate: X509Certificate;
  readonly matches: (record: TlsaRecord) => boolean;
}

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
 * `sent`: the certificate of the hop, then its issuers. DANE-EE needs no name, no date and no chain (RFC 7672 section
 * 3.1.1). DANE-TA needs all of them (section 3.1.2). What is beyond the bounds proves nothing, and the problem tells it.
 */
export function matchChain(sent: readonly X509Certificate[], records: readonly TlsaRecord[]): TlsaMatch {
  const chain = sent.slice(0, LONGEST_CHAIN).map(makeLink);
  const [leaf] = chain;
  if (leaf === undefined) return noMatch('it has no certificate');
  const of = (usage: number) => records.filter((record) => record.usage === usage);
  if (of(END_ENTITY).some(leaf.matches)) return { kind: 'proven' };
  // A trust anchor is no end entity.
  const issuers = of(TRUST_ANCHOR).filter((record) => !leaf.matches(record));
  const found = issuers.flatMap((record) => findAnchors(chain, record));
  const signed = findSigned(
    chain,
    issuers.filter((record) => isKey(record) && !chain.some(({ matches }) => matches(record))),
  );
  const anchors = new Set([...found, ...signed.anchors].map(String));
  if (anchors.size > 0) return { kind: 'anchors', anchors: [...anchors] };
  const long =
    sent.length > LONGEST_CHAIN ? [`only the first ${LONGEST_CHAIN} certificates of its chain count`] : [];
  return noMatch(['no TLSA record matches its certificate', ...long, ...signed.bounds].join('; '));
}

function noMatch(text: string): TlsaMatch {
  return { kind: 'none', problem: { cause: 'tlsa-invalid', text } };
}

/** A self-signed certificate may be in its chain twice. */
function findAnchors(chain: readonly Link[], record: TlsaRecord): X509Certificate[] {
  const inChain = chain.filter(({ matches }) => matches(record));
  if (inChain.length > 0) return inChain.map(({ certificate }) => certificate);
  if (record.selector !== 0 || record.matching !== 0) return [];
  // The record has the trust anchor itself, so the hop need not send it (RFC 7671 section 5.2.2).
  const anchor = readCertificate(Buffer.from(record.data, 'hex'));
  return anchor && chain.some(({ certificate }) => certificate.checkIssued(anchor)) ? [anchor] : [];
}

function isKey({ selector, matching }: TlsaRecord): boolean {
  return selector === 1 && matching === 0;
}

/**
 * What the keys of these records signed. Node gives OpenSSL no bare key to trust, and what the key signed is as good as
 * the key. `bounds`: what was not checked, for people.
 */
function findSigned(
  chain: readonly Link[],
  records: readonly TlsaRecord[],
): { readonly anchors: readonly X509Certificate[]; readonly bounds: readonly string[] } {
  const all = [...new Set(records.map(({ data }) => data))];
  const some = all.slice(0, MOST_CHECKS);
  const keys = some.flatMap((data) => readCheckedKey(Buffer.from(data, 'hex')) ?? []);
  const pairs = keys.flatMap((key) => chain.map(({ certificate }) => ({ certificate, key })));
  const signed = pairs.slice(0, MOST_CHECKS).filter(({ certificate, key }) => isSignedBy(certificate, key));
  return {
    anchors: signed.map(({ certificate }) => certificate),
    bounds: [
      ...(keys.length < some.length ? [`of whole keys only these are used: ${CHECKED_KEYS}`] : []),
      ...(Math.max(pairs.length, all.length) > MOST_CHECKS
        ? [`at most ${MOST_CHECKS} signatures by whole keys are checked`]
        : []),
    ],
  };
}

/** The content of each kind is made once, however many records ask for it. */
function makeLink(certificate: X509Certificate): Link {
  const known = new Map<string, string | undefined>();
  const contentFor = ({ selector, matching }: TlsaRecord) => {
    const kind = `${selector} ${matching}`;
    if (!known.has(kind)) known.set(kind, readContent(certificate, selector, matching));
    return known.get(kind);
  };
  return { certificate, matches: (record) => contentFor(record) === record.data };
}

/** As in a record. Undefined for a key of an unknown kind. */
function readContent(
  certificate: X509Certificate,
  selector: TlsaRecord['selector'],
  matching: TlsaRecord['matching'],
): string | undefined {
  const content = selector === 0 ? certificate.raw : readSpki(certificate);
  if (content === undefined || matching === 0) return content?.toString('hex');
  return createHash(DIGESTS[matching].name).update(content).digest('hex');
}

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
