/**
 * The header section of a message (RFC 5322 section 2.1): its end, and its fields. The text is latin1, one character
 * for each byte, so it can be written back unchanged. Pure. Nothing fails: a line that is no field ends the fields.
 */

/** A longer section is not parsed, because the held bytes of a session must be bounded. */
export const SECTION_BYTES = 64 * 1024;

const EMPTY_LINE = '\r\n\r\n';
/** RFC 5322 section 3.6.8. Section 4.5.8 allows the blanks. */
const FIELD_NAME = /([!-9;-~]+)[ \t]*:/y;
const FIELD_END = /\r\n(?![ \t])/g;

export interface Field {
  /** In lower case. */
  readonly name: string;
  /** From the name to the line break after the last folded line. Only the last field may lack the line break. */
  readonly text: string;
}

/** Finds the end of the header section in a stream. Carries three bytes from chunk to chunk. */
export class SectionFinder {
  readonly #most: number;
  #carry = '\r\n';
  #bytes = 0;

  constructor(most = SECTION_BYTES) {
    this.#most = most;
  }

  /**
   * The number of bytes from the start of the message to the end of the empty line. `too long` if the empty line is not
   * within the bound, however the message is cut into chunks. Undefined as long as it has not been seen. Do not
   * call again after an answer.
   */
  push(chunk: Buffer): number | 'too long' | undefined {
    const text = this.#carry + decodeHead(chunk, this.#most - this.#bytes);
    const at = text.indexOf(EMPTY_LINE);
    if (at !== -1) return this.#bytes - this.#carry.length + at + EMPTY_LINE.length;
    this.#bytes += chunk.length;
    this.#carry = text.slice(1 - EMPTY_LINE.length);
    return this.#bytes < this.#most ? undefined : 'too long';
  }
}

/** The part of the header section in a chunk, as text. Contains no more of the body than the native search needs. */
export function decodeHead(chunk: Buffer, atMost = chunk.length): string {
  const end = chunk.indexOf(EMPTY_LINE);
  return chunk.toString('latin1', 0, end === -1 ? atMost : Math.min(end + EMPTY_LINE.length, atMost));
}

/** The leading fields of a section. `rest` is empty, or begins with the empty line or with a line that is no field. */
export function parseFields(section: string): { fields: Field[]; rest: string } {
  const fields: Field[] = [];
  let at = 0;
  for (let field = fieldAt(section, at); field; field = fieldAt(section, at)) {
    fields.push(field);
    at += field.text.length;
  }
  return { fields, rest: section.slice(at) };
}

/**
 * What `parseFields` left: the lines up to the empty line, with the fields among them by their names. `end` is empty, or
 * begins with the empty line.
 */
export function parseRest(rest: string): { lines: { name?: string; text: string }[]; end: string } {
  const lines: { name?: string; text: string }[] = [];
  let at = 0;
  while (at < rest.length && !rest.startsWith('\r\n', at)) {
    const end = rest.indexOf('\r\n', at);
    const line = fieldAt(rest, at) ?? { text: rest.slice(at, end === -1 ? rest.length : end + 2) };
    lines.push(line);
    at += line.text.length;
  }
  return { lines, end: rest.slice(at) };
}

/** In lower case. Undefined if the line is no field, or if the name is not complete yet. */
export function readFieldName(line: string): string | undefined {
  FIELD_NAME.lastIndex = 0;
  return FIELD_NAME.exec(line)?.[1]?.toLowerCase();
}

function fieldAt(section: string, at: number): Field | undefined {
  FIELD_NAME.lastIndex = at;
  if (!FIELD_NAME.test(section)) return undefined;
  const name = section.slice(at, FIELD_NAME.lastIndex - 1).trimEnd();
  FIELD_END.lastIndex = at;
  const end = FIELD_END.test(section) ? FIELD_END.lastIndex : section.length;
  return { name: name.toLowerCase(), text: section.slice(at, end) };
}
