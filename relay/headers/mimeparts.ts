/**
 * The parts of a mail that a stranger wrote (RFC 2046), for those who look for a report in it. The text is latin1, one
 * character for each byte. Pure. Nothing fails: what cannot be read has no fields, or no parts.
 */
import { type Field, parseFields, SECTION_BYTES } from './section.ts';

const BOUNDARY = /;\s*boundary\s*=\s*(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i;

export interface Entity {
  readonly fields: readonly Field[];
  readonly body: string;
}

export interface ContentType {
  /** In lower case, without parameters. */
  readonly type: string;
  /** The whole field, on one line. */
  readonly text: string;
}

export function splitEntity(entity: string): Entity {
  if (entity.startsWith('\r\n')) return { fields: [], body: entity.slice(2) };
  const end = entity.slice(0, SECTION_BYTES).indexOf('\r\n\r\n');
  if (end === -1) return { fields: [], body: '' };
  return { fields: parseFields(entity.slice(0, end + 2)).fields, body: entity.slice(end + 4) };
}

/** All fields of this name, each on one line. */
export function readFields(fields: readonly Field[], name: string): string[] {
  return fields
    .filter((field) => field.name === name)
    .map(({ text }) => text.slice(text.indexOf(':') + 1).replace(/\r\n/g, ''));
}

export function readContentType({ fields }: Entity): ContentType {
  const [text = ''] = readFields(fields, 'content-type');
  return { type: text.replace(/;.*$/s, '').trim().toLowerCase(), text };
}

/** Decodes the body as its Content-Transfer-Encoding has it. */
export function decodeBody({ fields, body }: Entity): Buffer {
  const [encoding = ''] = readFields(fields, 'content-transfer-encoding');
  return decode(body, encoding);
}

/**
 * At most so many bytes, from the start. What follows them is not decoded. An encoded byte has at most three characters, and
 * its share of line ends.
 */
export function decodeStart({ fields, body }: Entity, most: number): Buffer {
  return decodeBody({ fields, body: body.slice(0, most * 4) }).subarray(0, most);
}

/** The parts of a multipart entity, one after the other. None of another one. */
export function* listParts(entity: Entity): Generator<string> {
  const { type, text } = readContentType(entity);
  const boundary = type.startsWith('multipart/') ? readBoundary(text) : undefined;
  if (boundary !== undefined) yield* splitParts(entity.body, boundary);
}

function readBoundary(contentType: string): string | undefined {
  const [, quoted, plain] = BOUNDARY.exec(contentType) ?? [];
  return quoted ?? plain;
}

/** RFC 2046 section 5.1.1. The last part may lack its end. */
function* splitParts(body: string, boundary: string): Generator<string> {
  const delimiter = `\r\n--${boundary}`;
  // A delimiter may be the first line.
  const text = `\r\n${body}`;
  let at = text.indexOf(delimiter);
  while (at !== -1 && !text.startsWith('--', at + delimiter.length)) {
    const start = text.indexOf('\r\n', at + delimiter.length);
    if (start === -1) return;
    const end = text.indexOf(delimiter, start);
    yield text.slice(start + 2, end === -1 ? undefined : Math.max(end, start + 2));
    at = end;
  }
}

function decode(body: string, encoding: string): Buffer {
  switch (encoding.trim().toLowerCase()) {
    case 'base64':
      return Buffer.from(body, 'base64');
    case 'quoted-printable':
      return Buffer.from(decodeQuoted(body), 'latin1');
    default:
      return Buffer.from(body, 'latin1');
  }
}

/** RFC 2045 section 6.7. */
function decodeQuoted(text: string): string {
  return text
    .replace(/=\r\n/g, '')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
