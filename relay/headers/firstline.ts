/**
 * The first line of a message, which follows our Received field. A line that begins with a blank would continue that
 * field, and a line that is no field would break the header. In these cases an empty line is inserted. The `From ` line
 * of a mailbox file becomes a field, as in Postfix. Everything else passes unchanged. Pure.
 */
import { readFieldName } from './section.ts';

/** `From : a@b` is a field (RFC 5322 section 4.5.8). */
const MAILBOX_LINE = /^>*From (?![ \t]*:)/;
const MAILBOX_FIELD = 'X-Mailbox-Line: ';
/** A mailbox file has one such line, or some. A client that sends more of them wants us to work, or to store more. */
const MAILBOX_LINES = 100;
/** RFC 5322 section 2.1.1. A longer line is judged by its first bytes. */
const LINE_BYTES = 998;

type Seen = 'mailbox' | 'fine' | 'not a field' | 'unknown';

export class FirstLine {
  /** What goes before a first line that is no field. */
  readonly #gap: string;
  /** Undefined as soon as everything passes. */
  #held: Buffer | undefined = Buffer.alloc(0);
  #mailboxLines = 0;

  /** `gap`: empty where the header is edited, because the editor parts it from what is no field. */
  constructor(gap: '' | '\r\n' = '\r\n') {
    this.#gap = gap;
  }

  push(chunk: Buffer): Buffer[] {
    if (!this.#held) return [chunk];
    const parts: Buffer[] = [];
    let bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    for (let seen = this.#see(bytes); seen !== 'unknown'; seen = this.#see(bytes)) {
      const end = seen === 'mailbox' ? bytes.indexOf('\r\n') : -1;
      if (seen === 'mailbox') parts.push(Buffer.from(MAILBOX_FIELD));
      if (seen === 'not a field') parts.push(Buffer.from(this.#gap));
      if (end === -1) {
        this.#held = undefined;
        return [...parts, bytes];
      }
      // The next line may be invalid too.
      parts.push(bytes.subarray(0, end + 2));
      bytes = bytes.subarray(end + 2);
    }
    this.#held = bytes;
    return parts;
  }

  end(): Buffer[] {
    const held = this.#held;
    this.#held = undefined;
    return !held || held.length === 0
      ? []
      : [Buffer.from(/^\r/.test(held.toString('latin1', 0, 1)) ? '' : this.#gap), held];
  }

  #see(bytes: Buffer): Seen {
    const end = bytes.indexOf('\r\n');
    const text = bytes.toString('latin1', 0, Math.min(end === -1 ? bytes.length : end + 2, LINE_BYTES));
    const seen = seenIn(text);
    if (seen === 'mailbox') this.#mailboxLines += 1;
    const isTooMuch = seen === 'mailbox' && this.#mailboxLines > MAILBOX_LINES;
    return isTooMuch || (seen === 'unknown' && text.length === LINE_BYTES) ? 'not a field' : seen;
  }
}

function seenIn(text: string): Seen {
  const isWhole = text.includes('\r\n') || text.length >= LINE_BYTES;
  if (MAILBOX_LINE.test(text)) return isWhole ? 'mailbox' : 'unknown';
  if (text.startsWith('\r\n') || readFieldName(text) !== undefined) return 'fine';
  return isWhole || /^[ \t]/.test(text) ? 'not a field' : 'unknown';
}
