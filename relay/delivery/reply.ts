/**
 * A reply of a next hop (RFC 5321 section 4.2). A line that begins with a code and a hyphen goes on, a line with a code alone
 * or with a code and a space is the last one, and its code counts. As in Postfix, every other line is text without a code. Pure.
 */

export interface Reply {
  readonly code: number;
  /** Begins with the code. All lines, without CR. */
  readonly text: string;
  /**
   * Text without a code came before it, or between lines of different codes. That may have been the reply to another command.
   */
  readonly isDoubtful: boolean;
}

export interface CodedLine {
  readonly code: number;
  readonly isLast: boolean;
}

/** The first digit is the class. As in Postfix, the others may be any: some hosts refuse with 571 or 591. */
const CODED = /^([2-5]\d\d)(?:([ -])|$)/;
const MAY_BE_CODED = /^[2-5](?:$|\d(?:$|\d(?:$|[ -])))/;

/** Undefined: the line is text without a code. */
export function readLine(line: string): CodedLine | undefined {
  const [, code, sign] = CODED.exec(line) ?? [];
  return code === undefined ? undefined : { code: Number(code), isLast: sign !== '-' };
}

/** `begun` is what has come of a line. */
export function mayBeCoded(begun: string): boolean {
  return MAY_BE_CODED.test(begun);
}

/** The code of the last line counts, so it comes first. Text before the reply comes behind it. */
export function makeReply(lines: readonly string[], code: number): Reply {
  const codes = lines.map((line) => readLine(line)?.code);
  const start = codes.findIndex((one) => one !== undefined);
  const reply = lines.slice(start);
  const ordered = codes[start] === code ? reply : [...reply.slice(-1), ...reply.slice(0, -1)];
  const isMixed = codes.some((one) => one !== undefined && one !== code);
  const hasText = lines.some((line, index) => codes[index] === undefined && line.trim() !== '');
  const text = [...ordered, ...lines.slice(0, start)].join('\n');
  return { code, text, isDoubtful: start > 0 || (isMixed && hasText) };
}

/** The lines that have a code. */
export function codedLines(text: string): string {
  return text
    .split('\n')
    .filter((line) => readLine(line))
    .join('\n');
}

/** The code of a reply and its status (RFC 2034): all that is kept of a reply to AUTH. */
export function readCodes(reply: string): string {
  const [codes = ''] = /^\d{3}(?:[ -][245]\.\d{1,3}\.\d{1,3}(?= |$))?/.exec(reply) ?? [];
  return codes.replace('-', ' ');
}
