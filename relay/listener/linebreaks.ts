/**
 * Watches a message body for bare CR and bare LF, the material of SMTP smuggling: servers disagree on where such a
 * line, and with it the message, ends. RFC 5321 section 2.3.8 forbids both. Native searches, so that a chunk costs
 * microseconds; state is one byte between chunks.
 */
const CR = 0x0d;
const LF = 0x0a;

export class LineBreakGuard {
  #endsWithCr = false;

  /** False as soon as a CR without LF, or an LF without CR, was seen. */
  passes(chunk: Buffer): boolean {
    if (chunk.length === 0) return true;
    if (this.#endsWithCr !== (chunk[0] === LF)) return false;
    for (let at = chunk.indexOf(LF, 1); at !== -1; at = chunk.indexOf(LF, at + 1)) {
      if (chunk[at - 1] !== CR) return false;
    }
    for (let at = chunk.indexOf(CR); at !== -1; at = chunk.indexOf(CR, at + 1)) {
      if (at + 1 < chunk.length && chunk[at + 1] !== LF) return false;
    }
    this.#endsWithCr = chunk[chunk.length - 1] === CR;
    return true;
  }

  /** False when the message ends in the middle of a line break. */
  passesEnd(): boolean {
    return !this.#endsWithCr;
  }
}
