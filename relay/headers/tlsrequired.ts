/** Finds "TLS-Required: No" (RFC 8689 section 5) in the header of a message. Reads only the header. Pure. */
import type { Readable } from 'node:stream';
import { decodeHead, parseFields, SECTION_BYTES, SectionFinder } from './section.ts';

export async function saysTlsNotRequired(message: Readable): Promise<boolean> {
  const finder = new SectionFinder();
  let head = '';
  for await (const chunk of message as AsyncIterable<Buffer>) {
    head += decodeHead(chunk, SECTION_BYTES);
    if (finder.push(chunk) !== undefined) break;
  }
  return parseFields(head).fields.some(({ name, text }) => name === 'tls-required' && isNo(text));
}

/** Comments and folds around the value are allowed (RFC 5322 section 3.2.2). */
function isNo(text: string): boolean {
  const value = text.slice(text.indexOf(':') + 1).replace(/\([^()]*\)/g, ' ');
  return value.trim().toLowerCase() === 'no';
}
