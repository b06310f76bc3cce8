/**
 * DKIM signatures (RFC 6376, Ed25519: RFC 8463) with mailauth: it chooses the keys, checks whether a key can sign, and
 * signs in one pass over the stream (signable.ts bounds the memory). If a key does not sign, the result is `failed`, with
 * a reason that never shows the key. If no key can sign the message, the result is `unsignable`. A message that cannot be
 * read rejects.
 */
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { DkimSigner, ParsedHeader, SigningHeaders } from 'mailauth/lib/dkim/dkim-signer.js';
import { judgeDkimKey } from '#crds/publickeys.ts';
import { load } from '../task/load.ts';
import { asciiDomain, type NotSignedReason } from './fromdomain.ts';
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
export type Signing =
  | { kind: 'signed'; header: Buffer }
  | { kind: 'failed'; reason: string }
  | { kind: 'unsignable'; reason: NotSignedReason };

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
  // RFC 8460 section 5.3 and RFC 8689 section 3.
  ...['TLS-Report-Domain', 'TLS-Report-Submitter', 'TLS-Required'],
];
const FIELDS = [...SEALED, ...SEALED_IF_PRESENT, ...SIGNED];
const FIELD_KEYS = new Set(FIELDS.map((name) => name.toLowerCase()));

/** All keys of the From domain, or of the nearest parent domain with keys. None for any other domain. */
export function selectKeys(keys: readonly DkimKey[], fromDomain: string): DkimKey[] {
  const from = asciiDomain(fromDomain);
  const covering = keys
    .map((key) => ({ key, domain: asciiDomain(key.domain) }))
    .filter(({ domain }) => domain !== '' && (from === domain || from.endsWith(`.${domain}`)));
  const longest = Math.max(...covering.map(({ domain }) => domain.length));
  return covering.filter(({ domain }) => domain.length === longest).map(({ key }) => key);
}

/** Signs with every key, or not at all. Without keys the header is empty. */
export async function signMessage(open: () => Readable, keys: readonly DkimKey[]): Promise<Signing> {
  for (const { domain, selector, pem } of keys) {
    const verdict = judgeDkimKey(pem);
    if (verdict.kind === 'unusable') return failed(domain, selector, verdict.reason);
  }
  if (keys.length === 0) return { kind: 'signed', header: Buffer.alloc(0) };
  const signer = makeSigner(keys);
  try {
    await pipeline(open(), signable, signer);
  } catch (error) {
    if (error instanceof Unsignable) return { kind: 'unsignable', reason: error.reason };
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
 * Loaded only when needed: that takes about 100 ms and 35 MiB (it loads joi, undici and the public suffix
 * list). A relay that signs nothing does not pay for it.
 */
function makeSigner(keys: readonly DkimKey[]): DkimSigner {
  const { DkimSigner } = load(
    'mailauth/lib/dkim/dkim-signer.js',
  ) as typeof import('mailauth/lib/dkim/dkim-signer.js');
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
