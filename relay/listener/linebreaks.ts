/**
 * Watches a message body for bare CR and bare LF, the material of SMTP smuggling: servers disagree on where such a
 * line, and with it the message, ends. RFC 5321 section 2.3.8 forbids both. A regular expression over latin1,
 * because it is the fastest that there is here; state is one byte between chunks.
 */
const CR = 0x0d;
const LF = 0x0a;
/** At the edges of a chunk its neighbours decide. */
const BARE = /\r(?!\n|$)|(?<=[^\r])\n/;

export class LineBreakGuard {
  #endsWithCr = false;

  /** False as soon as a CR without LF, or an LF without CR, was seen. */
  passes(chunk: Buffer): boolean {
    if (chunk.length === 0) return true;
    if (this.#endsWithCr !== (chunk[0] === LF)) return false;
    if (BARE.test(chunk.toString('latin1'))) return false;
    this.#endsWithCr = chunk[chunk.length - 1] === CR;
    return true;
  }

  /** False when the message ends in the middle of a line break. */
  passesEnd(): boolean {
    return !this.#endsWithCr;
  }
}
