/**
 * The domain of the From address, which decides the keys that sign a message. A correct field is read strictly
 * (headers/mailboxes.ts). A field that breaks RFC 5322 is read as mail programs read it, if the result is one domain. A
 * wrong guess does no harm, because a receiver uses a signature only for its own domain. The result is `unclear` if there
 * is no single domain. A message that cannot be read rejects.
 */
import type { Readable } from 'node:stream';
import { readDomain } from '../addresses/address.ts';
import { parseMailboxes } from '../headers/mailboxes.ts';
import { parseFields, SectionFinder } from '../headers/section.ts';

/** A longer section is not signed, because the signer keeps the section and reads it more than once. */
export const SIGNED_SECTION_BYTES = 256 * 1024;

/** Labels of a metric. */
export type NotSignedReason =
  | 'long_header'
  | 'no_from'
  | 'several_from'
  | 'unreadable_from'
  | 'several_domains'
  | 'many_lines'
  | 'stray_line'
  | 'long_line'
  | 'not_sealed'
  | 'sender_domains';

export type FromDomain =
  /** `hasStrayLine`: a line of the section is no field. */
  | { readonly kind: 'domain'; readonly domain: string; readonly hasStrayLine: boolean }
  | { readonly kind: 'unclear'; readonly reason: NotSignedReason };

const QUOTED = /"(?:[^"\\]|\\.)*"/gs;
/** Nested comments are removed from the inside out. */
const COMMENT = /\((?:[^()\\]|\\.)*\)/gs;
const DEEPEST = 8;
/** Guessing takes more than linear time, so longer fields are not guessed. */
const GUESSED_BYTES = 4096;
const IN_BRACKETS = /<([^<>]*)>/g;
const DOMAIN_AT = /@([\w\x80-\xff.-]+)/g;

/** Reads only the header section, and destroys the stream. */
export async function findFromDomain(open: () => Readable): Promise<FromDomain> {
  const section = await readSection(open());
  if (section === undefined) return { kind: 'unclear', reason: 'long_header' };
  const { fields, rest } = parseFields(section);
  const [from, ...others] = fields.filter(({ name }) => name === 'from');
  if (!from) return { kind: 'unclear', reason: 'no_from' };
  if (others.length > 0) return { kind: 'unclear', reason: 'several_from' };
  const at = from.text.indexOf(':') + 1;
  const domains =
    parseMailboxes(from.text, at)?.map(({ domain }) => domain) ?? guessDomains(from.text.slice(at));
  return chooseDomain(
    domains.map((domain) => asciiDomain(Buffer.from(domain, 'latin1').toString())),
    rest !== '' && !rest.startsWith('\r\n'),
  );
}

/** RFC 5322 section 3.6.2 allows several addresses: one domain answers for all of them, or none does. */
function chooseDomain(domains: readonly string[], hasStrayLine: boolean): FromDomain {
  const [domain, ...others] = new Set(domains);
  if (!domain || domains.includes('')) return { kind: 'unclear', reason: 'unreadable_from' };
  if (others.length > 0) return { kind: 'unclear', reason: 'several_domains' };
  return { kind: 'domain', domain, hasStrayLine };
}

/** The address is in angle brackets, if there are any. In a source route the last domain counts. */
function guessDomains(body: string): string[] {
  if (body.length > GUESSED_BYTES) return [];
  const text = withoutComments(body.replace(QUOTED, 'quoted'));
  const bracketed = [...text.matchAll(IN_BRACKETS)].map(([, inside = '']) => inside);
  if (bracketed.length === 0) return domainsIn(text);
  return bracketed.flatMap((inside) => domainsIn(inside).slice(-1));
}

function domainsIn(text: string): string[] {
  return [...text.replace(/\s*@\s*/g, '@').matchAll(DOMAIN_AT)].map(([, domain = '']) => domain);
}

function withoutComments(text: string): string {
  let shown = text;
  for (let depth = 0; depth < DEEPEST; depth += 1) shown = shown.replace(COMMENT, ' ');
  return shown;
}

/** Undefined if the section is too long. The whole message if no empty line ends the section. */
async function readSection(message: Readable): Promise<string | undefined> {
  const finder = new SectionFinder(SIGNED_SECTION_BYTES);
  const chunks: Buffer[] = [];
  let end: number | 'too long' | undefined;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    end = finder.push(chunk);
    if (end !== undefined) break;
  }
  return end === 'too long' ? undefined : Buffer.concat(chunks).toString('latin1', 0, end);
}

/** Empty if it is not a domain. No key is for an address literal. */
export function asciiDomain(domain: string): string {
  return domain.startsWith('[') ? '' : (readDomain(domain) ?? '');
}
