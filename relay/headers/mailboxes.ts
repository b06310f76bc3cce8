/**
 * The addresses in a field such as From or To (RFC 5322 sections 3.2 and 3.4), with the
 * positions of their parts. Strict on purpose: for a field with a group, a source route, or anything that servers read differently, the
 * result is undefined and the caller changes nothing. Pure.
 */

export interface Mailbox {
  /** As written: a dot-atom, or a quoted string. */
  readonly local: string;
  /** The position of the local part in the text. */
  readonly at: number;
  /** As written: a dot-atom, or a literal in brackets. */
  readonly domain: string;
  /** The position of the domain in the text. */
  readonly domainAt: number;
}

interface Token {
  /** `w`ord, `q`uoted string, `l`iteral, or the special character itself. */
  readonly kind: string;
  readonly text: string;
  readonly at: number;
}

/** Blanks and folds, and the line break at the end of the field. */
const BLANKS = /(?:[ \t]|\r\n(?:[ \t]|$))+/y;
const TOKENS: readonly (readonly [string, RegExp])[] = [
  // Dots and 8-bit characters (RFC 6532) included.
  ['w', /[!#-'*+\-./0-9=?A-Z^-~\x80-\xff]+/y],
  ['q', /"(?:[^"\\\r\n]|\\[^\r\n]|\r\n[ \t])*"/y],
  ['l', /\[[^[\]\\\r\n]*\]/y],
  ['special', /[<>@,]/y],
];
const COMMENT_PART = /[()]|[^()\\\r\n]+|\\[^\r\n]|\r\n[ \t]/y;

/** One mailbox as token kinds: a bare address, or an address in angle brackets after a name. */
const MAILBOX = /^(?:[wq]@[wl]|[wq]*<[wq]@[wl]>)$/;

/** The mailboxes from the position `from` on. Undefined if they cannot be read with certainty. */
export function parseMailboxes(text: string, from: number): Mailbox[] | undefined {
  const tokens = readTokens(text, from);
  const mailboxes: Mailbox[] = [];
  for (const part of tokens ? splitList(tokens) : []) {
    if (!MAILBOX.test(part.map(({ kind }) => kind).join(''))) return undefined;
    const sign = part.findIndex(({ kind }) => kind === '@');
    const [local, domain] = [part[sign - 1], part[sign + 1]];
    if (local && domain)
      mailboxes.push({ local: local.text, at: local.at, domain: domain.text, domainAt: domain.at });
  }
  return mailboxes.length > 0 ? mailboxes : undefined;
}

/** Split at the commas. RFC 5322 section 4.4 allows empty elements. */
function splitList(tokens: readonly Token[]): Token[][] {
  const parts: Token[][] = [[]];
  for (const token of tokens) {
    if (token.kind === ',') parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts.filter(({ length }) => length > 0);
}

/** The tokens without blanks and comments. Undefined if something is not closed or not allowed in an address. */
function readTokens(text: string, from: number): Token[] | undefined {
  const tokens: Token[] = [];
  let at = from;
  while (at < text.length) {
    const skipped = matchAt(BLANKS, text, at)?.length ?? commentBytes(text, at);
    const token = skipped > 0 ? undefined : tokenAt(text, at);
    if (token) tokens.push(token);
    else if (skipped === 0) return undefined;
    at += token?.text.length ?? skipped;
  }
  return tokens;
}

function tokenAt(text: string, at: number): Token | undefined {
  for (const [kind, pattern] of TOKENS) {
    const found = matchAt(pattern, text, at);
    if (found !== undefined) return { kind: kind === 'special' ? found : kind, text: found, at };
  }
  return undefined;
}

/** The length of the comment, nested ones included. Zero if no comment begins here or if it is not closed. */
function commentBytes(text: string, from: number): number {
  if (text[from] !== '(') return 0;
  let depth = 0;
  let at = from;
  do {
    const part = matchAt(COMMENT_PART, text, at);
    if (part === undefined) return 0;
    if (part === '(') depth += 1;
    if (part === ')') depth -= 1;
    at += part.length;
  } while (depth > 0);
  return at - from;
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}
