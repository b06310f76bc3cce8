/**
 * What a message may have at most to be verified. mailauth keeps the header and one line of the body, and its time grows
 * with the square of blanks and lines. Each signature costs a look-up and a hash. Real mail is far below. Pure.
 */
import { type Field, parseFields, parseRest, SECTION_BYTES, SectionFinder } from '../headers/section.ts';

const MOST_SIGNATURES = 10;
const MOST_LINES = 2_000;
const MANY_BLANKS = /[ \t\r\n]{100}/;
/** RFC 5321 section 4.5.3.1.6 allows 1000. mailauth reads a longer line again for each chunk. */
const LINE_BYTES = 2 ** 20;
const LF = 0x0a;
const SIGNATURES = new Set(['dkim-signature', 'arc-message-signature', 'arc-seal']);

type Line = Pick<Field, 'text'> & Partial<Field>;

/** The fields, and lines that are none: mailauth reads on behind these. Undefined if the header is longer than 64 KiB. */
export async function readHeader(message: AsyncIterable<Buffer>): Promise<readonly Line[] | undefined> {
  const finder = new SectionFinder();
  const chunks: Buffer[] = [];
  for await (const chunk of message) {
    chunks.push(chunk);
    const end = finder.push(chunk);
    if (end === 'too long') return undefined;
    if (end !== undefined) return listLines(Buffer.concat(chunks).toString('latin1', 0, end));
  }
  const all = Buffer.concat(chunks);
  return all.length > SECTION_BYTES ? undefined : listLines(all.toString('latin1'));
}

function listLines(section: string): readonly Line[] {
  const { fields, rest } = parseFields(section);
  return [...fields, ...parseRest(rest).lines];
}

/** Why a message with this header is not verified. Undefined if it is. */
export function findFault(lines: readonly Line[] | undefined): string | undefined {
  if (!lines) return 'its header is longer than 64 KiB';
  if (lines.filter(({ name }) => name !== undefined && SIGNATURES.has(name)).length > MOST_SIGNATURES)
    return `it has more than ${MOST_SIGNATURES} signatures`;
  if (lines.some(({ text }) => MANY_BLANKS.test(text))) return 'its header has too many blanks in a row';
  const count = lines.reduce((all, { text }) => all + text.split('\r\n').length - 1, 0);
  return count > MOST_LINES ? `its header has more than ${MOST_LINES} lines` : undefined;
}

/** Throws for a line of the body that is too long. */
export async function* boundedLines(message: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of message) {
    const lastBreak = chunk.lastIndexOf(LF);
    bytes = lastBreak === -1 ? bytes + chunk.length : chunk.length - 1 - lastBreak;
    if (bytes > LINE_BYTES) throw new Error('a line of it is longer than 1 MiB');
    yield chunk;
  }
}
