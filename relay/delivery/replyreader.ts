/**
 * Cuts what a next hop says into replies (reply.ts), whatever the chunks are in which it comes. Between replies empty lines
 * mean nothing. Pure.
 */
import { Buffer, isUtf8 } from 'node:buffer';
import { makeReply, mayBeCoded, type Reply, readLine } from './reply.ts';

/** In bytes. Above this a line that only repeats the code of the line before is read and not kept, as in Postfix. */
const LONGEST_TEXT = 16 * 1024;
/** What decides over a session is kept wherever it stands: without STARTTLS a message could go in plain text. */
const OFFER = /^250-(?:STARTTLS|REQUIRETLS|AUTH|SIZE|PIPELINING|8BITMIME|SMTPUTF8|DSN)\b/i;
/** What is kept of a reply. Replies of many lines are rare, and many hops may send long ones at the same time. */
const LONGEST_KEPT = 32 * 1024;
/** A reply that is longer has no end. */
const LONGEST_REPLY = 1024 * 1024;
const BEYOND_ASCII = /[\x80-\xff]/;

export class ReplyReader {
  /** Not read yet. Bytes as Latin-1, because a chunk may end in the middle of a character. */
  #bytes = '';
  #at = 0;
  #hasLine = false;
  /** The lines of a reply whose last line is still to come, and the text before it. */
  #lines: string[] = [];
  #length = 0;
  #keptLength = 0;
  /** Of the last line that has one. */
  #code: number | undefined;

  add(chunk: Buffer): void {
    this.#bytes += chunk.toString('latin1');
    // A long line in many small chunks is searched once.
    this.#hasLine ||= chunk.includes(0x0a);
  }

  /** The next whole reply. Undefined if there is none yet. */
  next(): Reply | undefined {
    for (let line = this.#nextLine(); line !== undefined; line = this.#nextLine()) {
      if (this.#lines.length === 0 && line.trim() === '') continue;
      const coded = readLine(line);
      if (coded?.isLast) return this.#end(line, coded.code);
      this.#keep(line, coded?.code);
    }
    return undefined;
  }

  #keep(line: string, code: number | undefined): void {
    const length = line.length + 2;
    this.#length += length;
    const repeats = code !== undefined && code === this.#code && !OFFER.test(line);
    if (repeats && this.#keptLength > LONGEST_TEXT) return;
    this.#code = code ?? this.#code;
    this.#lines.push(line);
    this.#keptLength += length;
  }

  #end(last: string, code: number): Reply {
    if (this.#lines.length === 0) return { code, text: decode(last), isDoubtful: false };
    const reply = makeReply([...this.#lines, last], code);
    this.#forget();
    return { ...reply, text: decode(reply.text) };
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

  /** Anything has come that no reply has ended. */
  get isInReply(): boolean {
    return this.#lines.length > 0 || this.#rest.trim() !== '';
  }

  /** The beginning of a reply whose end has not come. Text without a code is none. */
  get hasBegun(): boolean {
    return this.#code !== undefined || mayBeCoded(this.#rest.trimEnd());
  }

  /** A whole line without a code has come, and no reply. */
  get hasText(): boolean {
    return this.#lines.length > 0 && this.#code === undefined;
  }

  /** What has come of a reply whose end has not. */
  get begun(): string {
    const rest = this.#rest.trimEnd();
    return decode((rest === '' ? this.#lines : [...this.#lines, rest]).join('\n'));
  }

  /** What has come of the next line. */
  get #rest(): string {
    return this.#bytes.slice(this.#at);
  }

  get isTooLong(): boolean {
    return this.#keptLength + this.#bytes.length > LONGEST_KEPT || this.#length > LONGEST_REPLY;
  }

  clear(): void {
    this.#bytes = '';
    this.#at = 0;
    this.#hasLine = false;
    this.#forget();
  }

  #forget(): void {
    this.#lines = [];
    this.#length = 0;
    this.#keptLength = 0;
    this.#code = undefined;
  }
}

/** Replies have no charset. Most are ASCII, many others UTF-8. */
function decode(reply: string): string {
  if (!BEYOND_ASCII.test(reply)) return reply;
  const bytes = Buffer.from(reply, 'latin1');
  return isUtf8(bytes) ? bytes.toString() : reply;
}
