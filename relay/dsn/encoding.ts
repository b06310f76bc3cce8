/**
 * Renders one part of a report so that every host accepts it. Plain content stays unchanged. Other text becomes
 * quoted-printable, so that a person can read it, and a whole message becomes base64 (RFC 2045). Pure.
 */

/** RFC 5322 section 2.1.1. */
const LINE_BYTES = 998;
/** RFC 2045 section 6.7 and 6.8. */
const ENCODED_CHARS = 76;
const [TAB, SPACE, LF, CR, EQUALS, TILDE] = [0x09, 0x20, 0x0a, 0x0d, 0x3d, 0x7e];

/** `eightBit`: the destination host of the report accepts 8-bit content. */
export function renderPart(type: string, content: Buffer, eightBit: boolean): Buffer {
  const [encoding, body] = encode(type, content, eightBit);
  return Buffer.concat([Buffer.from(`Content-Type: ${type}\r\n${encoding}\r\n`), body, Buffer.from('\r\n')]);
}

/** ASCII without control characters, in lines of a length that SMTP allows. */
export function isPlain(content: Buffer): boolean {
  return isInLines(content) && content.every(isSevenBit);
}

export function isAscii(content: string | Buffer): boolean {
  return Buffer.from(content as string).every((byte) => byte < 0x80);
}

function encode(type: string, content: Buffer, eightBit: boolean): [string, Buffer] {
  if (isPlain(content)) return ['', content];
  const named = (encoding: string) => `Content-Transfer-Encoding: ${encoding}\r\n`;
  if (eightBit && isInLines(content) && content.every((byte) => byte >= 0x80 || isSevenBit(byte)))
    return [named('8bit'), content];
  return type === 'message/global'
    ? [named('base64'), base64(content)]
    : [named('quoted-printable'), quotedPrintable(content)];
}

function isSevenBit(byte: number): boolean {
  return (byte >= SPACE && byte <= TILDE) || byte === TAB || byte === CR || byte === LF;
}

/** Every CR and LF is part of a CRLF line end, and no line is too long. */
function isInLines(content: Buffer): boolean {
  return content
    .toString('latin1')
    .split('\r\n')
    .every((line) => line.length <= LINE_BYTES && !/[\r\n]/.test(line));
}

function base64(content: Buffer): Buffer {
  const lines = content.toString('base64').match(new RegExp(`.{1,${ENCODED_CHARS}}`, 'g')) ?? [];
  return Buffer.from(lines.join('\r\n'));
}

/** RFC 2045 section 6.7. */
function quotedPrintable(content: Buffer): Buffer {
  const lines = content.toString('latin1').split('\r\n').map(quoteLine);
  return Buffer.from(lines.join('\r\n'));
}

/** `line` has one character for each byte. */
function quoteLine(line: string): string {
  let [quoted, length] = ['', 0];
  for (const [index, char] of [...line].entries()) {
    const next = quoteByte(char.charCodeAt(0), index === line.length - 1);
    const isFull = length + next.length >= ENCODED_CHARS;
    quoted += isFull ? `=\r\n${next}` : next;
    length = isFull ? next.length : length + next.length;
  }
  return quoted;
}

/** A blank at the end of a line might get lost. */
function quoteByte(byte: number, isLast: boolean): string {
  const isBlank = byte === SPACE || byte === TAB;
  if ((byte > SPACE && byte <= TILDE && byte !== EQUALS) || (isBlank && !isLast))
    return String.fromCharCode(byte);
  return `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}
