/** Finds "TLS-Required: No" (RFC 8689 section 5) in the header of a message. Reads only the header. Pure. */
import { decodeHead, parseFields, SECTION_BYTES, SectionFinder } from './section.ts';

/** Hardly any message has the field, so the other fields are parsed only if this finds it. */
const FIELD = /^tls-required[ \t]*:/im;

/** The message is in memory, or comes in pieces. */
export async function saysTlsNotRequired(message: Buffer | AsyncIterable<Buffer>): Promise<boolean> {
  const head = Buffer.isBuffer(message) ? decodeHead(message, SECTION_BYTES) : await readHead(message);
  if (!FIELD.test(head)) return false;
  return parseFields(head).fields.some(({ name, text }) => name === 'tls-required' && isNo(text));
}

async function readHead(pieces: AsyncIterable<Buffer>): Promise<string> {
  const finder = new SectionFinder();
  let head = '';
  for await (const piece of pieces) {
    head += decodeHead(piece, SECTION_BYTES);
    if (finder.push(piece) !== undefined) break;
  }
  return head;
}

/** Comments and folds around the value are allowed (RFC 5322 section 3.2.2). */
function isNo(text: string): boolean {
  const value = text.slice(text.indexOf(':') + 1).replace(/\([^()]*\)/g, ' ');
  return value.trim().toLowerCase() === 'no';
}
