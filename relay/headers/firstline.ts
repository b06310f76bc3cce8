/**
 * The first line of a message, which follows our Received field. A line that begins with a blank would continue that
 * field, and a line that is no field would break the header. In these cases an empty line is inserted. The `From ` line
 * of a mailbox file becomes a field, as in Postfix. Everything else passes unchanged. Pure.
 */
import { readFieldName } from './section.ts';

/** `From : a@b` is a field (RFC 5322 section 4.5.8). */
const MAILBOX_LINE = /^>*From (?![ \t]*:)/;
const MAILBOX_FIELD = 'X-Mailbox-Line: ';
/** RFC 5322 section 2.1.1. A longer line is judged by its first bytes. */
const LINE_BYTES = 998;

type Seen = 'mailbox' | 'fine' | 'not a field' | 'unknown';

export class FirstLine {
  #held: Buffer | undefined = Buffer.alloc(0);

  push(chunk: Buffer): Buffer[] {
    if (!this.#held) return [chunk];
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = bytes;
    const text = bytes.toString('latin1', 0, Math.min(bytes.length, LINE_BYTES));
    const seen = seenIn(text);
    if (seen === 'unknown' && text.length < LINE_BYTES) return [];
    this.#held = undefined;
    if (seen === 'fine') return [bytes];
    if (seen !== 'mailbox') return [Buffer.from('\r\n'), bytes];
    return [Buffer.from(MAILBOX_FIELD), ...this.#behindMailbox(bytes)];
  }

  end(): Buffer[] {
    const held = this.#held;
    this.#held = undefined;
    return !held || held.length === 0
      ? []
      : [Buffer.from(/^\r/.test(held.toString('latin1', 0, 1)) ? '' : '\r\n'), held];
  }

  /** The next line may be invalid too. */
  #behindMailbox(bytes: Buffer): Buffer[] {
    const end = bytes.indexOf('\r\n');
    if (end === -1) return [bytes];
    this.#held = Buffer.alloc(0);
    return [bytes.subarray(0, end + 2), ...this.push(bytes.subarray(end + 2))];
  }
}

function seenIn(text: string): Seen {
  const isWhole = text.includes('\r\n') || text.length >= LINE_BYTES;
  if (MAILBOX_LINE.test(text)) return isWhole ? 'mailbox' : 'unknown';
  if (text.startsWith('\r\n') || readFieldName(text) !== undefined) return 'fine';
  return isWhole || /^[ \t]/.test(text) ? 'not a field' : 'unknown';
}
