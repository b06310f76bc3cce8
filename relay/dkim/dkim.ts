/**
 * DKIM signatures (RFC 6376, Ed25519: RFC 8463) with mailauth: it chooses the keys, checks whether a key can sign, and
 * signs in one pass over the stream (signable.ts bounds the memory). If a message cannot be signed, the result is
 * `failed`, with a reason that never shows a key. A message that cannot be read rejects.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { domainToASCII } from 'node:url';
import type { DkimSigner, ParsedHeader, SigningHeaders } from 'mailauth/lib/dkim/dkim-signer.js';
import { mailboxesOf } from '../headers/mailboxes.ts';
import { fieldsOf, SectionFinder } from '../headers/section.ts';
import { signable, Unsignable } from './signable.ts';

export interface DkimKey {
  /** `d=`. */
  readonly domain: string;
  /** `s=`: the public key is at <selector>._domainkey.<domain>. */
  readonly selector: string;
  /** The private key without encryption: PKCS #8, or PKCS #1 for RSA. */
  readonly pem: string;
}

/**
 * `header`: one DKIM-Signature field for each key, each with CRLF at its end. The caller puts them before the message.
 */
export type Signing = { kind: 'signed'; header: Buffer } | { kind: 'failed'; reason: string };

export type KeyVerdict =
  | { kind: 'usable'; algorithm: 'rsa' | 'ed25519'; bits: number }
  | { kind: 'unusable'; reason: string };

/** RFC 8301 section 3.2: verifiers must not accept signatures of shorter keys. */
const RSA_BITS_AT_LEAST = 1024;
/** RFC 8032 section 5.1. */
const ED25519_BITS = 256;

/**
 * `h=` names these fields once more than they occur (RFC 6376 section 8.15). So nobody can add another one at the top,
 * which many readers would show.
 */
const SEALED = ['From', 'Reply-To', 'To', 'Cc', 'Subject'];
/** The same, but only if the field occurs: a server on the way may rightly add a missing one. */
const SEALED_IF_PRESENT = [
  'Date',
  'Message-ID',
  'Sender',
  'MIME-Version',
  'Content-Type',
  'Content-Transfer-Encoding',
];
/** The other fields of RFC 6376 section 5.4.1. They are signed as they are. */
const SIGNED = [
  ...['In-Reply-To', 'References', 'Content-ID', 'Content-Description'],
  ...['Resent-Date', 'Resent-From', 'Resent-Sender', 'Resent-To', 'Resent-Cc', 'Resent-Message-ID'],
  ...['List-Id', 'List-Help', 'List-Unsubscribe', 'List-Unsubscribe-Post', 'List-Subscribe', 'List-Post'],
  ...['List-Owner', 'List-Archive'],
];
const FIELDS = [...SEALED, ...SEALED_IF_PRESENT, ...SIGNED];
const FIELD_KEYS = new Set(FIELDS.map((name) => name.toLowerCase()));

/** All keys of the From domain, or of the nearest parent domain with keys. None for any other domain. */
export function keysFor(keys: readonly DkimKey[], fromDomain: string): DkimKey[] {
  const from = asciiDomain(fromDomain);
  const covering = keys
    .map((key) => ({ key, domain: asciiDomain(key.domain) }))
    .filter(({ domain }) => domain !== '' && (from === domain || from.endsWith(`.${domain}`)));
  const longest = Math.max(...covering.map(({ domain }) => domain.length));
  return covering.filter(({ domain }) => domain.length === longest).map(({ key }) => key);
}

/** Checks whether a key can sign. The result never shows the key. */
export function judgeKey(pem: string): KeyVerdict {
  const key = privateKeyOf(pem);
  if (!key) return { kind: 'unusable', reason: 'it is no unencrypted private key in PEM' };
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'ed25519') return { kind: 'usable', algorithm: type, bits: ED25519_BITS };
  if (type !== 'rsa') return { kind: 'unusable', reason: `its type is ${type}, not rsa or ed25519` };
  const bits = details?.modulusLength ?? 0;
  if (bits >= RSA_BITS_AT_LEAST) return { kind: 'usable', algorithm: type, bits };
  return { kind: 'unusable', reason: `it has ${bits} bits, fewer than ${RSA_BITS_AT_LEAST} (RFC 8301)` };
}

/**
 * The domain of the From address, in lower case and ASCII. Undefined in three cases: there is not exactly one address
 * (RFC 5322 section 3.6.2 allows more, but no domain answers for all of them), the address cannot be read with
 * certainty, or the header section is longer than SECTION_BYTES. Reads only this far, and destroys the stream.
 */
export async function fromDomainOf(open: () => Readable): Promise<string | undefined> {
  const section = await sectionOf(open());
  const [from, ...others] = section ? fieldsOf(section).fields.filter(({ name }) => name === 'from') : [];
  if (!from || others.length > 0) return undefined;
  const [mailbox, ...more] = mailboxesOf(from.text, from.text.indexOf(':') + 1) ?? [];
  if (!mailbox || more.length > 0 || mailbox.domain.startsWith('[')) return undefined;
  return asciiDomain(Buffer.from(mailbox.domain, 'latin1').toString()) || undefined;
}

/** Signs with every key, or not at all. Without keys the header is empty. */
export async function signMessage(open: () => Readable, keys: readonly DkimKey[]): Promise<Signing> {
  for (const { domain, selector, pem } of keys) {
    const verdict = judgeKey(pem);
    if (verdict.kind === 'unusable') return failed(domain, selector, verdict.reason);
  }
  if (keys.length === 0) return { kind: 'signed', header: Buffer.alloc(0) };
  const signer = await signerFor(keys);
  try {
    await pipeline(open(), signable, signer);
  } catch (error) {
    if (error instanceof Unsignable)
      return { kind: 'failed', reason: `The message was not signed: ${error.message}` };
    throw error;
  }
  const [error] = signer.errors;
  if (error) return failed(error.signingDomain, error.selector, error.err.message);
  const header = signer.signatureHeaders.map((line) => `${line}\r\n`).join('');
  return { kind: 'signed', header: Buffer.from(header) };
}

function failed(domain = '', selector = '', reason: string): Signing {
  return {
    kind: 'failed',
    reason: `The DKIM key of ${domain} with the selector ${selector} did not sign: ${reason}`,
  };
}

/**
 * Imported only when needed: the import takes about 100 ms and 35 MiB (it loads joi, undici and the public suffix
 * list). A relay that signs nothing does not pay for it.
 */
async function signerFor(keys: readonly DkimKey[]): Promise<DkimSigner> {
  const { DkimSigner } = await import('mailauth/lib/dkim/dkim-signer.js');
  const signer = new DkimSigner({
    canonicalization: 'relaxed/relaxed',
    strict: true,
    headerList: FIELDS,
    signatureData: keys.map(({ domain, selector, pem }) => ({
      signingDomain: domain,
      selector,
      privateKey: pem,
    })),
  });
  const { messageHeaders } = signer;
  signer.messageHeaders = (headers: SigningHeaders) => {
    seal(headers.parsed);
    return messageHeaders.call(signer, headers);
  };
  return signer;
}

/**
 * mailauth names each signed field once, from the bottom up. The extra names follow the last occurrence, where a
 * verifier finds no more field. Each extra name stands for the empty string (RFC 6376 section 5.4.2).
 */
function seal(parsed: readonly ParsedHeader[]): void {
  const topmost = parsed.find(({ key }) => FIELD_KEYS.has(key ?? ''));
  if (!topmost) return;
  const present = new Set(parsed.map(({ key }) => key));
  const surplus = [...SEALED, ...SEALED_IF_PRESENT.filter((name) => present.has(name.toLowerCase()))];
  topmost.casedKey = [topmost.casedKey, ...surplus].join(': ');
}

/** Undefined if the section is too long. The whole message if no empty line ends the section. */
async function sectionOf(message: Readable): Promise<string | undefined> {
  const finder = new SectionFinder();
  const chunks: Buffer[] = [];
  let end: number | 'too long' | undefined;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    end = finder.push(chunk);
    if (end !== undefined) break;
  }
  return end === 'too long' ? undefined : Buffer.concat(chunks).toString('latin1', 0, end);
}

function asciiDomain(domain: string): string {
  return domainToASCII(domain.replace(/\.$/, ''));
}

function privateKeyOf(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}
