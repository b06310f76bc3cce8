/**
 * The addresses in a From, Sender or Reply-To field (RFC 5322 sections 3.2 and 3.4), with the place of their domains.
 * Strict on purpose: a field with a group, a source route, or anything else that servers read in different ways has no
 * answer, and the caller leaves it alone. Pure.
 */

export interface Mailbox {
  /** As written: a dot-atom, or a literal in brackets. */
  readonly domain: string;
  /** Where that begins in the text. */
  readonly domainAt: number;
}

interface Token {
  /** `w`ord, `q`uoted string, `l`iteral, or a special character itself. */
  readonly kind: string;
  readonly text: string;
  readonly at: number;
}

/** Blanks and folds; also the line break that ends the field. */
const BLANKS = /(?:[ \t]|\r\n(?:[ \t]|$))+/y;
const TOKENS: readonly (readonly [string, RegExp])[] = [
  // Dots and 8-bit characters (RFC 6532) included.
  ['w', /[!#-'*+\-./0-9=?A-Z^-~\x80-\xff]+/y],
  ['q', /"(?:[^"\\\r\n]|\\[^\r\n]|\r\n[ \t])*"/y],
  ['l', /\[[^[\]\\\r\n]*\]/y],
  ['special', /[<>@,]/y],
];
const COMMENT_PART = /[()]|[^()\\\r\n]+|\\[^\r\n]|\r\n[ \t]/y;

/** One mailbox in kinds of tokens: a bare address, or one in angle brackets behind a name. */
const MAILBOX = /^(?:[wq]@[wl]|[wq]*<[wq]@[wl]>)$/;

/** The mailboxes from a place in a text on; undefined where they cannot be read beyond doubt. */
export function mailboxesOf(text: string, from: number): Mailbox[] | undefined {
  const tokens = tokensOf(text, from);
  const mailboxes: Mailbox[] = [];
  for (const part of tokens ? listOf(tokens) : []) {
    if (!MAILBOX.test(part.map(({ kind }) => kind).join(''))) return undefined;
    const domain = part[part.findIndex(({ kind }) => kind === '@') + 1];
    if (domain) mailboxes.push({ domain: domain.text, domainAt: domain.at });
  }
  return mailboxes.length > 0 ? mailboxes : undefined;
}

/** Cut at the commas; empty elements are allowed by RFC 5322 section 4.4. */
function listOf(tokens: readonly Token[]): Token[][] {
  const parts: Token[][] = [[]];
  for (const token of tokens) {
    if (token.kind === ',') parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts.filter(({ length }) => length > 0);
}

/** Without blanks and comments; undefined where something is not closed or has no place in an address. */
function tokensOf(text: string, from: number): Token[] | undefined {
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

/** The length of the comment, with those nested in it; zero where none begins, or where it is not closed. */
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
