/**
 * A header section that is too long to be held. It passes as it comes, without the hidden fields, and fields are added at
 * its end; a line that is no field ends it (header.ts). Keeps only the start of a line until its field name is known, and
 * which of the fields are there that decide about an added one. Pure.
 */
import { readFieldName } from './section.ts';

const CR = 0x0d;
const NOTHING = Buffer.alloc(0);
/** RFC 5322 section 2.1.1. No field name is longer. */
const LINE_BYTES = 998;

/** `unknown`: the line is not complete enough to decide. */
type Line = { kind: 'field'; name: string } | { kind: 'folded' | 'empty' | 'no field' | 'unknown' };

export interface LongSectionTerms {
  /** Returns the text to add, or none. */
  readonly added: (has: (name: string) => boolean) => string;
  readonly isHidden: (name: string) => boolean;
  /** What goes before the first line that is no field. `isFirst`: no other line came before. */
  readonly gap: (isFirst: boolean) => string;
}

export class LongSection {
  readonly #terms: LongSectionTerms;
  /** Names of fields that an added field depends on. The client may send millions of others. */
  readonly #asked = new Set<string>();
  readonly #names = new Set<string>();
  /** The start of a line, or a CR at the end of a chunk. The next chunk decides its meaning. */
  #held: Buffer = NOTHING;
  #isInLine = false;
  /** True within a hidden field, including its folded lines. */
  #isHidden = false;
  /** A line came that a folded one continues. */
  #hasBegun = false;
  /** A line came that is no field: what follows is body, up to the empty line without the hidden fields. */
  #isBroken = false;
  #isOver = false;

  constructor(terms: LongSectionTerms) {
    this.#terms = terms;
    terms.added((name) => {
      this.#asked.add(name);
      return true;
    });
  }

  push(chunk: Buffer): Buffer[] {
    if (this.#isOver) return [chunk];
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const parts: Buffer[] = [];
    /** The start of the visible bytes that are not yet in `parts`. */
    let from = 0;
    let at = 0;
    while (at < bytes.length) {
      const wasHidden = this.#isHidden;
      const isFirst = !this.#hasBegun;
      const line = this.#isInLine ? undefined : this.#begin(lineAt(bytes, at));
      if (line === 'unknown') break;
      if (wasHidden && !this.#isHidden) from = at;
      if (!wasHidden && this.#isHidden) parts.push(bytes.subarray(from, at));
      if (line === 'over') return [...parts, ...this.#finish(bytes, from, at)];
      if (line === 'broken') {
        parts.push(bytes.subarray(from, at), this.#added(), Buffer.from(this.#terms.gap(isFirst)));
        from = at;
        this.#isBroken = true;
      }
      at = this.#pass(bytes, at);
      if (this.#isInLine) break;
    }
    this.#held = bytes.subarray(at);
    return this.#isHidden ? parts : [...parts, bytes.subarray(from, at)];
  }

  end(): Buffer[] {
    if (this.#isOver) return [];
    if (this.#held.length === 0 && !this.#isInLine) return this.#isBroken ? [] : [this.#added()];
    return this.#isInLine && this.#isHidden ? [] : [this.#held];
  }

  #begin(line: Line): 'unknown' | 'over' | 'broken' | undefined {
    if (line.kind === 'unknown') return 'unknown';
    if (line.kind === 'folded' && this.#hasBegun) return undefined;
    this.#hasBegun = true;
    this.#isHidden = line.kind === 'field' && this.#terms.isHidden(line.name);
    if (line.kind === 'empty') return 'over';
    if (line.kind !== 'field') return this.#isBroken ? undefined : 'broken';
    if (!this.#isHidden && !this.#isBroken && this.#asked.has(line.name)) this.#names.add(line.name);
    return undefined;
  }

  /**
   * The position after the line, or after its bytes so far. A CR at the end may belong to the line end, so it stays.
   */
  #pass(bytes: Buffer, at: number): number {
    const end = bytes.indexOf('\r\n', at);
    this.#isInLine = end === -1;
    if (end !== -1) return end + 2;
    return bytes.at(-1) === CR ? bytes.length - 1 : bytes.length;
  }

  #finish(bytes: Buffer, from: number, at: number): Buffer[] {
    this.#isOver = true;
    if (this.#isBroken) return [bytes.subarray(from)];
    return [bytes.subarray(from, at), this.#added(), bytes.subarray(at)];
  }

  #added(): Buffer {
    return Buffer.from(
      this.#terms.added((name) => this.#names.has(name)),
      'latin1',
    );
  }
}

function lineAt(bytes: Buffer, at: number): Line {
  const line = bytes.subarray(at, at + LINE_BYTES);
  const end = line.indexOf('\r\n');
  const text = line.toString('latin1', 0, end === -1 ? line.length : end + 2);
  const name = readFieldName(text);
  if (name !== undefined) return { kind: 'field', name };
  if (/^[ \t]/.test(text)) return { kind: 'folded' };
  if (text.startsWith('\r\n')) return { kind: 'empty' };
  return { kind: text.includes('\r\n') || text.length === LINE_BYTES ? 'no field' : 'unknown' };
}
