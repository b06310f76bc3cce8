/**
 * TLSA records (RFC 6698, RFC 7671) and the certificates of a next hop: which records are usable, and whether one of
 * them proves the chain that the hop sent. The match is made with the X.509 code of Node. Pure.
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

/** `undefined` proves the hop. */
export type TlsaProblem = { readonly cause: FailureCause; readonly text: string } | undefined;

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
 * `chain`: the certificate of the hop, then its issuers. DANE-EE needs no name and no date (RFC 7672 section 3.1.1).
 * DANE-TA needs both, and a chain of signatures up to the trust anchor (section 3.1.2).
 */
export function judgeChain(
  chain: readonly X509Certificate[],
  records: readonly TlsaRecord[],
  names: readonly string[],
  now: Date,
): TlsaProblem {
  const [leaf] = chain;
  if (leaf === undefined) return { cause: 'tlsa-invalid', text: 'it has no certificate' };
  const of = (usage: number) => records.filter((record) => record.usage === usage);
  if (of(END_ENTITY).some((record) => isMatch(leaf, record))) return undefined;
  const paths = of(TRUST_ANCHOR).flatMap((record) => findPaths(chain, record));
  const problems = paths.map((path) => judgePath(path, names, now));
  if (problems.includes(undefined)) return undefined;
  return problems[0] ?? { cause: 'tlsa-invalid', text: 'no TLSA record matches its certificate' };
}

/** From the certificate of the hop to the trust anchor. A key that is no certificate signs the last one. */
interface Path {
  readonly certificates: readonly X509Certificate[];
  readonly key?: KeyObject;
}

function findPaths(chain: readonly X509Certificate[], record: TlsaRecord): Path[] {
  const inChain = chain.flatMap((certificate, index) =>
    index > 0 && isMatch(certificate, record) ? [{ certificates: chain.slice(0, index + 1) }] : [],
  );
  if (inChain.length > 0 || record.matching !== 0) return inChain;
  // The record has the trust anchor itself, so the hop need not send it (RFC 7671 section 5.2.2).
  const data = Buffer.from(record.data, 'hex');
  const anchor = record.selector === 0 ? readCertificate(data) : undefined;
  const key = record.selector === 1 ? readKey(data) : undefined;
  return chain.flatMap((last, index): Path[] => {
    const certificates = chain.slice(0, index + 1);
    if (anchor && last.checkIssued(anchor)) return [{ certificates: [...certificates, anchor] }];
    return key && isSignedBy(last, key) ? [{ certificates, key }] : [];
  });
}

function judgePath({ certificates, key }: Path, names: readonly string[], now: Date): TlsaProblem {
  const [leaf] = certificates;
  const isSound = certificates.every((certificate, index) => {
    const issuer = certificates[index + 1];
    if (issuer === undefined) return key === undefined || isSignedBy(certificate, key);
    return issuer.ca && certificate.checkIssued(issuer) && isSignedBy(certificate, issuer.publicKey);
  });
  if (!isSound) return { cause: 'tlsa-invalid', text: 'its chain does not lead to the trust anchor' };
  const isDated = (one: X509Certificate) => one.validFromDate <= now && now <= one.validToDate;
  if (!certificates.every(isDated))
    return {
      cause: 'certificate-expired',
      text: 'a certificate of its chain has expired, or is not valid yet',
    };
  const isNamed = names.some((name) => leaf?.checkHost(name, { partialWildcards: false }) !== undefined);
  if (isNamed) return undefined;
  return { cause: 'certificate-host-mismatch', text: `its certificate does not name ${names.join(' or ')}` };
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
