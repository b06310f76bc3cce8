/**
 * What we said in AUTH, so that it can be removed from the replies of a hop: some hops echo it, as it was sent or
 * decoded, whole, cut off or broken into lines. A hop may remember it from one connection to the next, so it belongs to the login. Pure.
 */
import { dropOldest } from '../task/oldest.ts';

/** A part of a secret of this length gives it away. Shorter parts would blank out words. */
const PART_LENGTH = 8;
const SHORTEST = 4;
const BLANK = '***';
const BREAK = /\r?\n(?:\d{3}[ -])?/g;
/** A login is two lines at most. Its token is another one each hour. */
const LINES = 4;

/** All parts of a form of a secret. */
interface Parts {
  readonly length: number;
  readonly texts: ReadonlySet<string>;
}

export class AuthSecrets {
  /** By the line that was sent. */
  readonly #said = new Map<string, readonly Parts[]>();

  /** `line` ends in the secret, encoded as SASL wants it (RFC 4954 section 4). */
  add(line: string): void {
    if (this.#said.has(line)) return;
    this.#said.set(line, listForms(line).map(cut));
    dropOldest(this.#said, LINES);
  }

  blank(text: string): string {
    if (this.#said.size === 0) return text;
    const hidden = new Set<number>();
    const places = listPlaces(text);
    const joined = places.map((place) => text[place]).join('');
    for (const { length, texts } of [...this.#said.values()].flat()) {
      for (let at = 0; at + length <= joined.length; at += 1) {
        if (!texts.has(joined.slice(at, at + length))) continue;
        for (const place of places.slice(at, at + length)) hidden.add(place);
      }
    }
    if (hidden.size === 0) return text;
    const shown = (at: number) => (hidden.has(at - 1) ? '' : BLANK);
    return Array.from({ length: text.length }, (_, at) => (hidden.has(at) ? shown(at) : text[at])).join('');
  }
}

const KNOWN = new WeakMap<object, AuthSecrets>();

/** Of all connections with this login. */
export function secretsOfLogin(login: object): AuthSecrets {
  const secrets = KNOWN.get(login) ?? new AuthSecrets();
  KNOWN.set(login, secrets);
  return secrets;
}

/** Of the characters that say something: without line breaks, and the codes behind them. */
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

function listForms(line: string): string[] {
  const encoded = line.slice(line.lastIndexOf(' ') + 1);
  const said = Buffer.from(encoded, 'base64')
    .toString()
    .split(/\p{Cc}+/u);
  const plain = said.findLast((part) => part !== '') ?? '';
  const bytes = Buffer.from(plain);
  // A reply that is no UTF-8 is read as Latin-1, so the bytes of the secret are characters there.
  const hex = bytes.toString('hex');
  const coded = [bytes.toString('base64'), bytes.toString('base64url'), hex, hex.toUpperCase()];
  const forms = new Set([encoded, plain, ...coded, encodeURIComponent(plain), bytes.toString('latin1')]);
  return [...forms].filter((form) => form.length >= SHORTEST);
}

function cut(form: string): Parts {
  const length = Math.min(PART_LENGTH, form.length);
  const texts = new Set<string>();
  for (let at = 0; at + length <= form.length; at += 1) texts.add(form.slice(at, at + length));
  return { length, texts };
}
