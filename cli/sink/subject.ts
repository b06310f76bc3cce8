/** The subject of a message as a person reads it: unfolded, and without encoded words (RFC 2047). Pure. */

const WORDS =
  /=\?([\w-]+)(?:\*[\w-]+)?\?([bq])\?([^? ]*)\?=(?:\s+(?==\?[\w-]+(?:\*[\w-]+)?\?[bq]\?[^? ]*\?=))?/gi;

/** null: the message has none. */
export function findSubject(message: Buffer): string | null {
  const end = message.indexOf('\r\n\r\n');
  const header = message.subarray(0, end === -1 ? undefined : end).toString('utf8');
  const [, subject] = /^Subject:[ \t]*((?:.|\r\n[ \t])*)/im.exec(header) ?? [];
  return subject === undefined ? null : decodeWords(subject.replace(/\r\n/g, '').trimEnd());
}

/** The white space between two words is part of neither. A word in a character set that is not known stays. */
function decodeWords(text: string): string {
  return text.replace(WORDS, (word, charset: string, encoding: string, content: string) => {
    const bytes = /b/i.test(encoding) ? Buffer.from(content, 'base64') : decodeQ(content);
    try {
      return new TextDecoder(charset, { ignoreBOM: true }).decode(bytes);
    } catch {
      return word;
    }
  });
}

function decodeQ(content: string): Buffer {
  const octets = content
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(octets, 'latin1');
}
