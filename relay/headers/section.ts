/**
 * The header section of a message (RFC 5322 section 2.1): where it ends, and the fields in it. Its text is latin1, one
 * character for each byte, so that whatever it holds can be written back unaltered. Pure, and fails on nothing: what
 * is no field ends the fields.
 */

/** Longer sections are not looked into: what is held back for a session must be bounded. */
export const SECTION_BYTES = 64 * 1024;

const EMPTY_LINE = '\r\n\r\n';
/** RFC 5322 section 3.6.8; section 4.5.8 allows the blanks. */
const FIELD_NAME = /([!-9;-~]+)[ \t]*:/y;
const FIELD_END = /\r\n(?![ \t])/g;

export interface Field {
  /** In lower case. */
  readonly name: string;
  /** From the name to the line break at the end of the last folded line; only the last one may lack it. */
  readonly text: string;
}

/** Finds the end of the header section of a message that streams by; carries three bytes from chunk to chunk. */
export class SectionFinder {
  #carry = '\r\n';
  #bytes = 0;

  /**
   * The bytes from the start of the message to the end of the empty line, once that was seen; `too long` when it is
   * not within SECTION_BYTES, however the message is cut; undefined before that. Not called again after an answer.
   */
  push(chunk: Buffer): number | 'too long' | undefined {
    const text = this.#carry + headOf(chunk, SECTION_BYTES - this.#bytes);
    const at = text.indexOf(EMPTY_LINE);
    if (at !== -1) return this.#bytes - this.#carry.length + at + EMPTY_LINE.length;
    this.#bytes += chunk.length;
    this.#carry = text.slice(1 - EMPTY_LINE.length);
    return this.#bytes < SECTION_BYTES ? undefined : 'too long';
  }
}

/** What a chunk has of the header section, as text, and no more of the body than the native search needs to know. */
export function headOf(chunk: Buffer, atMost = chunk.length): string {
  const end = chunk.indexOf(EMPTY_LINE);
  return chunk.toString('latin1', 0, end === -1 ? atMost : Math.min(end + EMPTY_LINE.length, atMost));
}

/** The leading fields of a section; `rest` is empty, or begins with the empty line or with a line that is no field. */
export function fieldsOf(section: string): { fields: Field[]; rest: string } {
  const fields: Field[] = [];
  let at = 0;
  for (let field = fieldAt(section, at); field; field = fieldAt(section, at)) {
    fields.push(field);
    at += field.text.length;
  }
  return { fields, rest: section.slice(at) };
}

/** In lower case; undefined when the line is no field, or has not come so far. */
export function fieldNameOf(line: string): string | undefined {
  FIELD_NAME.lastIndex = 0;
  return FIELD_NAME.exec(line)?.[1]?.toLowerCase();
}

function fieldAt(section: string, at: number): Field | undefined {
  FIELD_NAME.lastIndex = at;
  const name = FIELD_NAME.exec(section)?.[1];
  if (name === undefined) return undefined;
  FIELD_END.lastIndex = at;
  const end = FIELD_END.test(section) ? FIELD_END.lastIndex : section.length;
  return { name: name.toLowerCase(), text: section.slice(at, end) };
}
