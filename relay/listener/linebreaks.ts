/**
 * Watches a message body for bare CR and bare LF, the material of SMTP smuggling: servers disagree on where such a
 * line, and with it the message, ends. RFC 5321 section 2.3.8 forbids both. Looks at four bytes at a time, because
 * native searches cost more for lines as short as those of mail, and an expression needs a string as long as the
 * message, which V8 then has to collect.
 */
const CR = 0x0d;
const LF = 0x0a;
const HIGH_NIBBLES = 0xf0f0f0f0;
const ONES = 0x01010101;
const TOPS = 0x80808080;

export class LineBreakGuard {
  #afterCr = false;

  /** False as soon as a CR without LF, or an LF without CR, was seen. */
  passes(chunk: Buffer): boolean {
    const lead = -chunk.byteOffset & 3;
    if (chunk.length < lead + 4) return this.#bytesPass(chunk, 0, chunk.length);
    const words = new Int32Array(chunk.buffer, chunk.byteOffset + lead, (chunk.length - lead) >> 2);
    if (!this.#bytesPass(chunk, 0, lead)) return false;
    for (let index = this.#next(words, 0); index < words.length; index = this.#next(words, index + 1)) {
      const at = lead + 4 * index;
      if (!this.#bytesPass(chunk, at, at + 4)) return false;
    }
    return this.#bytesPass(chunk, lead + 4 * words.length, chunk.length);
  }

  /** False when the message ends in the middle of a line break. */
  passesEnd(): boolean {
    return !this.#afterCr;
  }

  /** The next four bytes that a line break may be in. */
  #next(words: Int32Array, from: number): number {
    return this.#afterCr ? from : nextLow(words, from);
  }

  #bytesPass(chunk: Buffer, from: number, to: number): boolean {
    for (let at = from; at < to; at++) {
      if (this.#afterCr !== (chunk[at] === LF)) return false;
      this.#afterCr = chunk[at] === CR;
    }
    return true;
  }
}

/** The next word that has a byte below 16, as line breaks are; the length if there is none. */
function nextLow(words: Int32Array, from: number): number {
  let index = from;
  for (; index < words.length; index++) {
    const high = (words[index] as number) & HIGH_NIBBLES;
    if (((high - ONES) & ~high & TOPS) !== 0) break;
  }
  return index;
}
