/**
 * Finds the Message-ID of a message that streams by, for those who look for the message later. It reads no further than
 * the header. Pure.
 */

/** A longer header is not searched to its end. */
const MOST_BYTES = 64 * 1024;
const END = '\r\n\r\n';
/** The field may be folded (RFC 5322 section 2.2.3). */
const FIELD = /(?:^|\r\n)message-id[ \t]*:(?:[ \t]|\r\n[ \t])*<?([^\s<>]{1,250})/i;

export class MessageIdFinder {
  #header = '';
  #isWhole = false;

  push(chunk: Buffer): void {
    if (this.#isWhole) return;
    // What follows the header is not decoded.
    const bodyAt = chunk.indexOf(END);
    const bytes = Math.min(
      bodyAt === -1 ? chunk.length : bodyAt + END.length,
      MOST_BYTES - this.#header.length,
    );
    this.#header += chunk.toString('latin1', 0, bytes);
    // It may begin in the chunk before.
    const end = this.#header.indexOf(END);
    if (end !== -1) this.#header = this.#header.slice(0, end);
    this.#isWhole = end !== -1 || this.#header.length >= MOST_BYTES;
  }

  /** Without its brackets. Undefined if there is none. */
  get found(): string | undefined {
    const [, id] = FIELD.exec(this.#header) ?? [];
    return id === undefined ? undefined : Buffer.from(id, 'latin1').toString();
  }
}
