/**
 * A header section that is too long to be held: it passes as it is, and what it lacks is added at its end. Keeps the
 * names of fields and the beginning of a line. Pure.
 */
import { fieldNameOf } from './section.ts';

const CR = 0x0d;
/** RFC 5322 section 2.1.1; no name of a field is longer. */
const LINE_BYTES = 998;

export class LongSection {
  readonly #missing: (has: (name: string) => boolean) => string;
  readonly #names = new Set<string>();
  /** What came of the line that has not ended. */
  #line = '';
  /** At the end of a chunk, where the next one says what it is. */
  #cr = Buffer.alloc(0);
  #isOver = false;

  /** `missing` gives the text to add, or none. */
  constructor(missing: (has: (name: string) => boolean) => string) {
    this.#missing = missing;
  }

  push(chunk: Buffer): Buffer[] {
    if (this.#isOver) return [chunk];
    const all = Buffer.concat([this.#cr, chunk]);
    const bytes = all.subarray(0, all.at(-1) === CR ? -1 : all.length);
    this.#cr = all.subarray(bytes.length);
    let at = 0;
    for (let end = bytes.indexOf('\r\n'); end !== -1; end = bytes.indexOf('\r\n', at)) {
      const line = this.#begin(bytes, at, end);
      if (line === '' || !this.#isField(line)) return this.#finish(bytes, line === '' ? at : undefined);
      this.#line = '';
      at = end + 2;
    }
    this.#line = this.#begin(bytes, at, bytes.length);
    return [bytes];
  }

  end(): Buffer[] {
    if (this.#isOver) return [];
    return this.#line === '' && this.#cr.length === 0 ? [this.#added()] : [this.#cr];
  }

  #begin(bytes: Buffer, from: number, to: number): string {
    const room = LINE_BYTES - this.#line.length;
    return this.#line + bytes.toString('latin1', from, Math.min(to, from + room));
  }

  #isField(line: string): boolean {
    if (/^[ \t]/.test(line)) return true;
    const name = fieldNameOf(line);
    if (name !== undefined) this.#names.add(name);
    return name !== undefined;
  }

  /** `at` is the empty line; behind a line that is no field nothing can be added. */
  #finish(bytes: Buffer, at: number | undefined): Buffer[] {
    this.#isOver = true;
    const parts = at === undefined ? [bytes] : [bytes.subarray(0, at), this.#added(), bytes.subarray(at)];
    return [...parts, this.#cr];
  }

  #added(): Buffer {
    return Buffer.from(
      this.#missing((name) => this.#names.has(name)),
      'latin1',
    );
  }
}
