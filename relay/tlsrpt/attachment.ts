/**
 * Finds the report in a mail (RFC 8460 section 5.3): the first part with a media type of reports. A stranger wrote the
 * mail, so parts, nesting and headers are bounded. Pure. Nothing fails: a mail that cannot be read has no report.
 */
import { type Field, parseFields, SECTION_BYTES } from '../headers/section.ts';

const REPORT_TYPES = ['application/tlsrpt+gzip', 'application/tlsrpt+json'];
const MOST_PARTS = 50;
const DEEPEST = 5;
const BOUNDARY = /;\s*boundary\s*=\s*(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i;

/** The content, decoded. Undefined if there is none. */
export function findReportPart(mail: Buffer): Buffer | undefined {
  let left = MOST_PARTS;
  const search = (entity: string, depth: number): Buffer | undefined => {
    const { fields, body } = splitEntity(entity);
    const contentType = readField(fields, 'content-type') ?? '';
    const type = contentType.replace(/;.*$/s, '').trim().toLowerCase();
    if (REPORT_TYPES.includes(type))
      return decode(body, readField(fields, 'content-transfer-encoding') ?? '');
    const boundary = type.startsWith('multipart/') && depth < DEEPEST && readBoundary(contentType);
    if (!boundary) return undefined;
    for (const part of splitParts(body, boundary)) {
      left -= 1;
      const found = left < 0 ? undefined : search(part, depth + 1);
      if (found || left < 0) return found;
    }
    return undefined;
  };
  // One character for each byte.
  return search(mail.toString('latin1'), 0);
}

function splitEntity(entity: string): { fields: readonly Field[]; body: string } {
  if (entity.startsWith('\r\n')) return { fields: [], body: entity.slice(2) };
  const end = entity.slice(0, SECTION_BYTES).indexOf('\r\n\r\n');
  if (end === -1) return { fields: [], body: '' };
  return { fields: parseFields(entity.slice(0, end + 2)).fields, body: entity.slice(end + 4) };
}

/** On one line. */
function readField(fields: readonly Field[], name: string): string | undefined {
  const text = fields.find((field) => field.name === name)?.text;
  return text?.slice(text.indexOf(':') + 1).replace(/\r\n/g, '');
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
