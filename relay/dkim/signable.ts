/**
 * Passes a message to the DKIM signer unchanged while the signer needs only bounded memory and time. mailauth keeps the
 * header section and one line of the body, and reads both more than once. Throws Unsignable otherwise.
 */
import { SectionFinder } from '../headers/section.ts';
import { type NotSignedReason, SIGNED_SECTION_BYTES } from './fromdomain.ts';

/**
 * mailauth needs quadratic time for lines that begin no field: 64 KiB of them took 0.8 s. This many lines take 30 ms.
 */
const SECTION_LINES = 4000;
/** RFC 5321 section 4.5.3.1.6 allows 1000. mailauth reads a longer line again for each chunk. */
const LINE_BYTES = 2 ** 20;
const LF = 0x0a;

/** No signature is made for this message. */
export class Unsignable extends Error {
  readonly reason: NotSignedReason;

  constructor(reason: NotSignedReason) {
    super(reason);
    this.reason = reason;
  }
}

export async function* signable(message: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const section = new SectionLimit();
  let lineBytes = 0;
  for await (const chunk of message) {
    section.push(chunk);
    const lastBreak = chunk.lastIndexOf(LF);
    lineBytes = lastBreak === -1 ? lineBytes + chunk.length : chunk.length - 1 - lastBreak;
    if (lineBytes > LINE_BYTES) throw new Unsignable('long_line');
    yield chunk;
  }
}

class SectionLimit {
  #finder: SectionFinder | undefined = new SectionFinder(SIGNED_SECTION_BYTES);
  #bytes = 0;
  #lines = 0;

  push(chunk: Buffer): void {
    if (!this.#finder) return;
    const end = this.#finder.push(chunk);
    if (end === 'too long') throw new Unsignable('long_header');
    this.#lines += countLines(end === undefined ? chunk : chunk.subarray(0, end - this.#bytes));
    this.#bytes += chunk.length;
    if (this.#lines > SECTION_LINES) throw new Unsignable('many_lines');
    if (end !== undefined) this.#finder = undefined;
  }
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, at + 1)) lines += 1;
  return lines;
}
