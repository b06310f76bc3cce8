/**
 * Who sent a report: the domain whose DKIM signature verifies (RFC 8460 section 3). The signing domain is that of the
 * From field and of TLS-Report-Submitter, or one above them, which controls their names. A signature with `l=` and a key
 * in test mode count as none. A key with service types needs "tlsrpt" or "*", or "email" for complaints. The mail is a
 * stranger's, so header and signatures are bounded.
 */
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { dkimVerify, type SignatureResult } from 'mailauth/lib/dkim/verify.js';
import { domainOf } from '#crds/patterns.ts';
import { readDomain } from '../addresses/address.ts';
import { type Field, parseFields, SECTION_BYTES } from '../headers/section.ts';

export type Reporter =
  /** `from`: the address in the From field. Everybody with a mailbox in the domain may have written the mail. */
  | { readonly kind: 'known'; readonly domain: string; readonly from: string }
  /** `reason` completes the sentence "the sender is not proven: ...". */
  | { readonly kind: 'unknown'; readonly reason: string }
  /** The look-up of a key failed: another try may tell. */
  | { readonly kind: 'unclear'; readonly reason: string };

/** The service type that a key must have (RFC 6376 section 3.6.1). */
export type Service = 'tlsrpt' | 'email';

/** The TXT records of a name; none if there are none. Rejects if the look-up fails. */
export type LookUpTxt = (name: string) => Promise<readonly string[][]>;

/** Each costs a look-up, a hash of the body and a verification. */
const MOST_SIGNATURES = 8;
const PIECE_BYTES = 64 * 1024;
const HEADER_END = '\r\n\r\n';
/** The time of the verifier grows with the square of each of these. Real reports are far below. */
const MANY_BLANKS = /[ \t\r\n]{100}/;
const MOST_LINES = 2_000;
const LONGEST_NAME = 1_000;
const SERVICES = /(^|;)(\s*s\s*=)([^;]*)/;

/** Never rejects for a fault of the mail. */
export async function findReporter(
  mail: Buffer,
  lookUpTxt: LookUpTxt,
  service: Service = 'tlsrpt',
): Promise<Reporter> {
  const fields = readHeader(mail);
  if (!fields) return unknown('its header is longer than 64 KiB');
  const fault = findFault(fields);
  if (fault !== undefined) return unknown(fault);
  const resolver = async (name: string) =>
    (await lookUpTxt(name)).map((strings) => [forService(strings.join(''), service)]);
  const { headerFrom, results } = await dkimVerify(Readable.from(inPieces(mail)), { strict: true, resolver });
  const [from, ...others] = headerFrom;
  if (from === undefined || others.length > 0) return unknown('its From needs one address');
  return judge(results, from, [from, ...listSubmitters(fields)].map(toAscii));
}

/** Between two pieces the process does other work. */
async function* inPieces(mail: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < mail.length; at += PIECE_BYTES) {
    yield mail.subarray(at, at + PIECE_BYTES);
    await setImmediate();
  }
}

function findFault(fields: readonly Field[]): string | undefined {
  const find = (name: string) => fields.filter((field) => field.name === name);
  const signatures = find('dkim-signature');
  const from = find('from');
  const submitter = find('tls-report-submitter');
  const named = [...from, ...submitter];
  if (signatures.length === 0) return 'it has no DKIM signature';
  if (signatures.length > MOST_SIGNATURES) return `it has more than ${MOST_SIGNATURES} DKIM signatures`;
  if (from.length !== 1 || submitter.length > 1)
    return 'it needs one From field, and at most one TLS-Report-Submitter';
  if (named.some(({ text }) => text.length > LONGEST_NAME)) return 'its From is longer than 1,000 characters';
  if (fields.some(({ text }) => MANY_BLANKS.test(text))) return 'its header has too many blanks in a row';
  const lines = fields.reduce((all, { text }) => all + text.split('\r\n').length - 1, 0);
  return lines > MOST_LINES ? `its header has more than ${MOST_LINES} lines` : undefined;
}

function judge(results: readonly SignatureResult[], from: string, domains: readonly string[]): Reporter {
  const aligned = results.filter(({ signingDomain = '' }) => domains.every(isBelowOrSame(signingDomain)));
  const good = aligned.find(
    ({ status, canonBodyLengthLimited }) =>
      status.result === 'pass' && canonBodyLengthLimited === false && status.testing !== true,
  );
  if (good) return { kind: 'known', domain: toAscii(good.signingDomain ?? ''), from };
  const failed = aligned.find(({ status }) => status.result === 'temperror');
  if (failed) return { kind: 'unclear', reason: String(failed.status.comment) };
  if (aligned.length === 0) return unknown(`no signature is one of ${[...new Set(domains)].join(' and ')}`);
  return unknown(aligned.map(describeFault).join('; '));
}

function describeFault({ signingDomain, status, canonBodyLengthLimited }: SignatureResult): string {
  const said = status.comment === false ? status.result : (status.comment ?? status.result);
  const fault = canonBodyLengthLimited ? 'l= is not allowed' : status.testing ? 'its key is for tests' : said;
  return `signature of ${signingDomain}: ${fault}`;
}

/** A domain without a dot is no signer: it would be above everything. */
function isBelowOrSame(signingDomain: string): (domain: string) => boolean {
  const signer = toAscii(signingDomain);
  return (domain) => signer.includes('.') && (domain === signer || domain.endsWith(`.${signer}`));
}

function listSubmitters(fields: readonly Field[]): string[] {
  return fields
    .filter(({ name }) => name === 'tls-report-submitter')
    .map(({ text }) => text.slice(text.indexOf(':') + 1).trim());
}

/** Undefined if there is no end of the header within the bound. */
function readHeader(mail: Buffer): Field[] | undefined {
  const end = mail.subarray(0, SECTION_BYTES).indexOf(HEADER_END);
  return end === -1 ? undefined : parseFields(mail.toString('latin1', 0, end + 2)).fields;
}

/** mailauth knows only the service "email", so a key that is right for the service is shown to it as one for everything. */
function forService(record: string, service: Service): string {
  return record.replace(SERVICES, (_, before: string, tag: string, services: string) => {
    const isRight = services.split(':').some((one) => ['*', service].includes(one.trim().toLowerCase()));
    return `${before}${tag}${isRight ? '*' : 'none'}`;
  });
}

/** Of an address or a domain. Empty if it is neither. */
function toAscii(text: string): string {
  return readDomain(domainOf(text)) ?? '';
}

function unknown(reason: string): Reporter {
  return { kind: 'unknown', reason };
}
