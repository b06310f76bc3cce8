/**
 * What we said in AUTH, so that it can be removed from the replies of a hop: some hops echo it, as it was sent or
 * decoded, whole or cut off. Pure.
 */

/** A part of a secret of this length gives it away. Shorter parts would blank out words. */
const PART_LENGTH = 8;
const SHORTEST = 4;
const BLANK = '***';

export class AuthSecrets {
  /** The parts of all secrets, by their length. */
  readonly #parts = new Map<number, Set<string>>();

  /** `line` ends in the secret, encoded as SASL wants it (RFC 4954 section 4). */
  add(line: string): void {
    const encoded = line.slice(line.lastIndexOf(' ') + 1);
    const said = Buffer.from(encoded, 'base64')
      .toString()
      .split(/\p{Cc}+/u);
    const plain = said.findLast((part) => part !== '') ?? '';
    const bytes = Buffer.from(plain);
    // A reply that is no UTF-8 is read as Latin-1, so the bytes of the secret are characters there.
    const forms = new Set([encoded, plain, bytes.toString('base64'), bytes.toString('latin1')]);
    for (const form of forms) this.#addForm(form);
  }

  #addForm(form: string): void {
    if (form.length < SHORTEST) return;
    const length = Math.min(PART_LENGTH, form.length);
    const parts = this.#parts.get(length) ?? new Set();
    for (let at = 0; at + length <= form.length; at += 1) parts.add(form.slice(at, at + length));
    this.#parts.set(length, parts);
  }

  blank(text: string): string {
    if (this.#parts.size === 0) return text;
    const hidden = new Set<number>();
    for (const [length, parts] of this.#parts) {
      for (let at = 0; at + length <= text.length; at += 1) {
        if (!parts.has(text.slice(at, at + length))) continue;
        for (let one = at; one < at + length; one += 1) hidden.add(one);
      }
    }
    if (hidden.size === 0) return text;
    const shown = (at: number) => (hidden.has(at - 1) ? '' : BLANK);
    return Array.from({ length: text.length }, (_, at) => (hidden.has(at) ? shown(at) : text[at])).join('');
  }
}
