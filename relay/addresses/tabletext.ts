/**
 * Reads a table in Postfix's format (postmap, canonical(5), virtual(5)): a line for each entry, blanks between key and
 * value, `#` comments, and a line that begins with a blank goes on with the line before. A value is a list of addresses,
 * or REJECT and a text, as in access(5). An address without a domain gets one where it is looked up. A key without an
 * `@` (a local user, a virtual domain) is left out, because a relay has neither. Any other line that cannot be read is a
 * fault. Pure.
 */
import { hasDomain, readDomain, readGivenMailbox } from './address.ts';
import { type Entry, readKey } from './addressmap.ts';

type Readable = Exclude<Entry, { kind: 'unreadable' }>;

export type TableLine =
  | { readonly kind: 'entry'; readonly line: number; readonly key: string; readonly entry: Readable }
  | { readonly kind: 'left out'; readonly line: number }
  /** A comment, an empty line, or one that goes on with the line before. */
  | { readonly kind: 'none' }
  | { readonly kind: 'fault'; readonly line: number; readonly reason: string };

/** The key, which may begin with a quoted local part, and the value. */
const ENTRY = /^((?:"(?:[^"\\]|\\.)*")?[^\s"]*)[ \t]+(.*)$/s;
const TARGETS = /(?:"(?:[^"\\]|\\.)*"|[^\s,"])+/g;
/** Not a command, a file or a list of aliases(5), which a relay cannot deliver to. */
const USER = /^[\p{L}\p{N}_][\p{L}\p{N}._+-]*$/u;
const REJECT = /^REJECT(?:[ \t]+(.*))?$/is;
const NOT_PRINTABLE = /[^ -~]/g;
const LONGEST_TEXT = 200;
/** With the lines that go on with it: as much as an object holds. The patterns have no room for lines of many times this length. */
const LONGEST_LINE = 1024 * 1024;
const NONE: TableLine = { kind: 'none' };

/** One value for each line of the text, and for an entry after its last line. So a caller can stop anywhere. */
export function* readTable(text: string): Generator<TableLine> {
  for (const joined of joinLines(text)) yield joined ? readLine(joined.line, joined.content.trim()) : NONE;
}

function readLine(line: number, content: string): TableLine {
  if (content.length > LONGEST_LINE)
    return { kind: 'fault', line, reason: `it is longer than ${LONGEST_LINE} characters` };
  const [, left = content, value = ''] = ENTRY.exec(content) ?? [];
  if (left !== '*' && !hasDomain(left)) return { kind: 'left out', line };
  const key = readKey(left);
  if (key === undefined)
    return { kind: 'fault', line, reason: 'the first word is no address and no pattern' };
  const [reject, text = ''] = REJECT.exec(value) ?? [];
  if (reject !== undefined)
    return { kind: 'entry', line, key, entry: { kind: 'refused', text: clean(text) } };
  const to = value.match(TARGETS) ?? [];
  if (to.some((target) => target.startsWith('#')))
    return { kind: 'fault', line, reason: 'a comment needs a line of its own' };
  if (to.length === 0) return { kind: 'fault', line, reason: 'there is no address after the first word' };
  return to.every(isTarget)
    ? { kind: 'entry', line, key, entry: { kind: 'addresses', to } }
    : { kind: 'fault', line, reason: 'a word after the first one is no address' };
}

/** An address, `@domain`, or a user. */
function isTarget(text: string): boolean {
  if (text.startsWith('@')) return readDomain(text.slice(1)) !== undefined;
  if (!text.includes('@')) return USER.test(text);
  const mailbox = readGivenMailbox(text);
  return mailbox !== undefined && mailbox.domain !== '';
}

/** One line of a reply. */
function clean(text: string): string {
  return text.replace(NOT_PRINTABLE, '?').slice(0, LONGEST_TEXT).trim() || 'Address refused';
}

/** Lines that belong together, without comments and empty lines, which do not end an entry. undefined: nothing yet. */
function* joinLines(text: string): Generator<{ line: number; content: string } | undefined> {
  let open: { line: number; content: string } | undefined;
  let number = 0;
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n', at);
    const line = text.slice(at, end === -1 ? text.length : end);
    at = end === -1 ? text.length : end + 1;
    number += 1;
    const isNothing = /^\s*(?:#|$)/.test(line);
    const goesOn = !isNothing && open !== undefined && /^[ \t]/.test(line);
    if (open && goesOn && open.content.length <= LONGEST_LINE) open.content += ` ${line.trim()}`;
    yield isNothing || goesOn ? undefined : open;
    if (!(isNothing || goesOn)) open = { line: number, content: line };
  }
  if (open) yield open;
}
