/**
 * Cuts what a next hop says into replies (RFC 5321 section 4.2), whatever the chunks are in which it comes. A reply of
 * several lines ends with a line whose code has no hyphen behind it. The code of this line counts. Between replies empty
 * lines mean nothing. Pure.
 */
import { Buffer, isUtf8 } from 'node:buffer';

/** In bytes. Replies of many lines are rare, and many hops may send long ones at the same time. */
const LONGEST_REPLY = 32 * 1024;
const HAS_MORE = /^\d{3}-/;
/** As in Postfix, a line without a code is a part of the text. */
const IS_LAST = /^\d{3}(?![-\d])/;
const BEYOND_ASCII = /[\x80-\xff]/;

export class ReplyReader {
  /** Not read yet. Bytes as Latin-1, because a chunk may end in the middle of a character. */
  #bytes = '';
  #at = 0;
  #hasLine = false;
  /** The lines of a reply whose last line is still to come. */
  #begun: string | undefined;

  add(chunk: Buffer): void {
    this.#bytes += chunk.toString('latin1');
    // A long line in many small chunks is searched once.
    this.#hasLine ||= chunk.includes(0x0a);
  }

  /** The next whole reply, its lines without CR. Undefined if there is none yet. */
  next(): string | undefined {
    for (let line = this.#nextLine(); line !== undefined; line = this.#nextLine()) {
      if (this.#begun === undefined) {
        if (line.trim() === '') continue;
        if (!HAS_MORE.test(line)) return decode(line);
        this.#begun = line;
      } else {
        const begun = this.#begun;
        this.#begun = IS_LAST.test(line) ? undefined : `${begun}\n${line}`;
        if (this.#begun === undefined) return decode(joinLast(begun, line));
      }
    }
    return undefined;
  }

  #nextLine(): string | undefined {
    const end = this.#hasLine ? this.#bytes.indexOf('\n', this.#at) : -1;
    if (end === -1) {
      if (this.#at > 0) this.#bytes = this.#bytes.slice(this.#at);
      this.#at = 0;
      this.#hasLine = false;
      return undefined;
    }
    const start = this.#at;
    this.#at = end + 1;
    return this.#bytes.slice(start, end > start && this.#bytes[end - 1] === '\r' ? end - 1 : end);
  }

  /** The beginning of a reply, or of a line, whose end has not come. */
  get isInReply(): boolean {
    return this.#begun !== undefined || this.#rest.trim() !== '';
  }

  /** What has come of a reply whose end has not. */
  get begun(): string {
    const rest = this.#rest.trimEnd();
    return decode(
      this.#begun !== undefined && rest !== '' ? `${this.#begun}\n${rest}` : (this.#begun ?? rest),
    );
  }

  /** What has come of the next line. */
  get #rest(): string {
    return this.#bytes.slice(this.#at);
  }

  get isTooLong(): boolean {
    return (this.#begun?.length ?? 0) + this.#bytes.length > LONGEST_REPLY;
  }

  clear(): void {
    this.#bytes = '';
    this.#at = 0;
    this.#hasLine = false;
    this.#begun = undefined;
  }
}

/**
 * All lines must have the same code (RFC 5321 section 4.2.1). Where they do not, the last line tells the outcome, as for
 * Postfix. It comes first then, because its code and its status are read from there.
 */
function joinLast(begun: string, last: string): string {
  return begun.startsWith(last.slice(0, 3)) ? `${begun}\n${last}` : `${last}\n${begun}`;
}

/** Replies have no charset. Most are ASCII, many others UTF-8. */
function decode(reply: string): string {
  if (!BEYOND_ASCII.test(reply)) return reply;
  const bytes = Buffer.from(reply, 'latin1');
  return isUtf8(bytes) ? bytes.toString() : reply;
}
