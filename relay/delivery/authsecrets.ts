/**
 * What we said in AUTH, so that it can be removed from the replies of a hop: some hops echo it, as it was sent or
 * decoded, whole, cut off or broken into lines. A hop may remember it from one connection to the next, so it belongs to the login. Pure.
 */
import { dropOldest } from '../task/oldest.ts';

/** A part of a secret of this length gives it away. Shorter parts would blank out words. */
const PART_LENGTH = 8;
const SHORTEST = 4;
const BLANK = '***';
/** Between the text of two lines: the code, and often the status again. */
const BREAK = /\r?\n(?:\d{3}[ -](?:[245]\.\d{1,3}\.\d{1,3} )?)?/g;
/** What the library shows in place of the secret. */
const MARK = '/* secret */';
/** A login is two lines at most, with the password that a digest is made of. Its token is another one each hour. */
const LINES = 4;

export class AuthSecrets {
  /** The forms of the secret, by the line that was sent. */
  readonly #said = new Map<string, readonly string[]>();
  /** Each reply is searched once for all parts of the same length. */
  #parts: ReadonlyMap<number, ReadonlySet<string>> = new Map();

  /** `line` ends in the secret, encoded as SASL wants it (RFC 4954 section 4). `shown` has a mark in its place. */
  add(line: string, shown: string): void {
    const known = this.#said.get(line);
    this.#said.delete(line);
    this.#said.set(line, known ?? listForms(line, shown));
    if (known) return;
    dropOldest(this.#said, LINES);
    this.#parts = cut([...this.#said.values()].flat());
  }

  blank(text: string): string {
    if (this.#parts.size === 0) return text;
    const joined = text.replace(BREAK, '');
    const found = new Set<number>();
    for (const [length, texts] of this.#parts)
      for (let at = 0; at + length <= joined.length; at += 1)
        if (texts.has(joined.slice(at, at + length)))
          for (let one = at; one < at + length; one += 1) found.add(one);
    return found.size === 0 ? text : hide(text, found);
  }
}

const KNOWN = new WeakMap<object, AuthSecrets>();

/**
 * Of all connections with this login. `given`: its Secret has this, so a hop may know it from another process, or from a
 * login with the same Secret, before anything is said here. A login by digest says it in no line.
 */
export function secretsOfLogin(login: object, given: string | undefined): AuthSecrets {
  const secrets = KNOWN.get(login) ?? new AuthSecrets();
  KNOWN.set(login, secrets);
  if (given !== undefined) secrets.add(encode(given), encode(MARK));
  return secrets;
}

/** `found` counts the characters that say something: without what is between lines. */
function hide(text: string, found: ReadonlySet<number>): string {
  const places = listPlaces(text);
  const hidden = new Set([...found].map((at) => places[at]));
  const shown = (at: number) => (hidden.has(at - 1) ? '' : BLANK);
  return Array.from({ length: text.length }, (_, at) => (hidden.has(at) ? shown(at) : text[at])).join('');
}

function listPlaces(text: string): number[] {
  const places: number[] = [];
  let at = 0;
  for (const { index, 0: found } of text.matchAll(BREAK)) {
    for (; at < index; at += 1) places.push(at);
    at = index + found.length;
  }
  for (; at < text.length; at += 1) places.push(at);
  return places;
}

const lastWord = (line: string) => line.slice(line.lastIndexOf(' ') + 1);
const encode = (text: string) => Buffer.from(text).toString('base64');
const decode = (encoded: string) => Buffer.from(encoded, 'base64').toString();

/** The name before a password, or before the digest of CRAM-MD5, is no secret: it may be in any reply. */
function findSecret(said: string, shown: string): string {
  const at = shown.lastIndexOf(MARK);
  return at === -1 ? said : said.slice(at, said.length - (shown.length - at - MARK.length));
}

function listForms(line: string, shown: string): string[] {
  const encoded = lastWord(line);
  const plain = findSecret(decode(encoded), decode(lastWord(shown)));
  const bytes = Buffer.from(plain);
  // A reply that is no UTF-8 is read as Latin-1, so the bytes of the secret are characters there.
  const hex = bytes.toString('hex');
  // Base64 has groups of three bytes, and a hop may have put something before the secret, or behind it.
  const begun = [0, 1, 2].map((start) => bytes.subarray(start));
  const whole = begun.map((one) => one.subarray(0, one.length - (one.length % 3)));
  const based = [...begun, ...whole].flatMap((one) => [one.toString('base64'), one.toString('base64url')]);
  const coded = [...based, hex, hex.toUpperCase(), encodeURIComponent(plain), bytes.toString('latin1')];
  const forms = new Set([encoded, plain, ...coded]);
  return [...forms].filter((form) => form.length >= SHORTEST);
}

/** All parts of these forms, by their length. */
function cut(forms: readonly string[]): ReadonlyMap<number, ReadonlySet<string>> {
  const parts = new Map<number, Set<string>>();
  for (const form of forms) {
    const length = Math.min(PART_LENGTH, form.length);
    const texts = parts.get(length) ?? new Set();
    parts.set(length, texts);
    for (let at = 0; at + length <= form.length; at += 1) texts.add(form.slice(at, at + length));
  }
  return parts;
}
