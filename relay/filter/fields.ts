/**
 * The header step that does what a filter wants: it removes fields, and puts fields before the message. So it works with
 * any header, also one that is out of order. What the filter wrote becomes proper fields: folded, in ASCII. Pure.
 */
import { encodedWords } from '#crds/encodedwords.ts';
import type { HeaderStep } from '../headers/header.ts';

export const MOST_FIELDS = 100;
const MOST_BYTES = 64 * 1024;
/** RFC 5322 section 2.1.1 allows 998. The name needs a part of them. */
const LINE = /.{1,900}(?=[ \t]|$)|.{1,900}/g;
/** UTF-8 bytes in an encoded word, whose length is bounded by RFC 2047 section 2. */
const WORD_BYTES = 45;

/** Only the filter says these, so a sender cannot. */
const OURS = ['x-spam', 'x-mailrelay-unfiltered'];

export interface FieldChanges {
  readonly adds: readonly { readonly name: string; readonly value: string }[];
  /** By name in lower case: which of the fields of this name, from the first, 1. 0, or a number below: all of them. */
  readonly removes: ReadonlyMap<string, readonly number[]>;
  /** Absent: the subject stays. */
  readonly subject?: string;
}

/** The step of one message. Undefined if there is more text to add than a header may have. */
export function compileChanges({ adds, removes, subject }: FieldChanges): HeaderStep | undefined {
  const all = subject === undefined ? adds : [...adds, { name: 'Subject', value: subject }];
  const front = all.map(({ name, value }) => `${name}: ${renderValue(value)}\r\n`).join('');
  if (front.length > MOST_BYTES) return undefined;
  const whole = new Map([...OURS, ...(subject === undefined ? [] : ['subject'])].map((name) => [name, [0]]));
  return { front: () => front, hides: countRemovals(new Map([...removes, ...whole])) };
}

/** For a message that the filter did not judge. */
export const UNFILTERED: HeaderStep = {
  front: () => 'X-Mailrelay-Unfiltered: Yes\r\n',
  hides: (name) => OURS.includes(name),
};

/** Called once for each field, in their order. */
function countRemovals(removes: FieldChanges['removes']): (name: string) => boolean {
  const seen = new Map<string, number>();
  return (name) => {
    const positions = removes.get(name);
    if (positions === undefined) return false;
    const nth = (seen.get(name) ?? 0) + 1;
    seen.set(name, nth);
    return positions.some((position) => position <= 0 || position === nth);
  };
}

/** A line break of the filter stays a fold. */
function renderValue(value: string): string {
  const lines = value.split(/[\r\n]+/).map((line) => encodeWords(line.replace(/[^\P{Cc}\t]/gu, '?').trim()));
  return lines
    .filter((line) => line !== '')
    .flatMap((line) => (line.match(LINE) ?? []).map((part) => part.trim()))
    .join('\r\n\t');
}

/** RFC 2047, if the text needs it. */
function encodeWords(line: string): string {
  if (/^[\t -~]*$/.test(line)) return line;
  return encodedWords(line, WORD_BYTES).join(' ');
}
