/**
 * Bare CR and bare LF in a message, the means of SMTP smuggling: servers disagree where such a line, and with it the
 * message, ends. RFC 5321 section 2.3.8 forbids both, and section 4.5.2 forbids NUL. Strict refuses such a message.
 * Normalize rewrites it so that all servers read it alike. This file does not decide where a message ends. The check
 * reads four bytes at a time. Native searches cost more for lines as short as those of mail, and a regular expression
 * needs a string as long as the message, which V8 must collect later.
 */
import type { LineEndings } from '#crds/policyfile.ts';
import { REPLIES, Refusal } from './reply.ts';

const NOTHING = Buffer.alloc(0);
const NUL = 0;
const CR = 0x0d;
const LF = 0x0a;
const HIGH_NIBBLES = 0xf0f0f0f0;
const ONES = 0x01010101;
const TOPS = 0x80808080;

/** Passes the chunks of a message on, as the mode has them. Throws a Refusal if the message must be refused. */
export interface LineFilter {
  push(chunk: Buffer): Buffer;
  end(): Buffer;
}

export function makeLineFilter(lineEndings: LineEndings): LineFilter {
  return lineEndings === 'Normalize' ? new LineNormalizer() : new StrictLines();
}

class StrictLines implements LineFilter {
  readonly #guard = new LineBreakGuard();

  push(chunk: Buffer): Buffer {
    if (this.#guard.passes(chunk)) return chunk;
    throw new Refusal(this.#guard.hasNul ? REPLIES.nul : REPLIES.bareLine);
  }

  end(): Buffer {
    if (this.#guard.passesEnd()) return NOTHING;
    throw new Refusal(REPLIES.bareLine);
  }
}

/** As Postfix does: a bare LF becomes CRLF, a bare CR becomes a blank, and a NUL is removed. */
export class LineNormalizer implements LineFilter {
  /** A CR at the end of a chunk. The next chunk decides its meaning. */
  #held = '';

  push(chunk: Buffer): Buffer {
    if (this.#held === '' && chunk.at(-1) !== CR && new LineBreakGuard().passes(chunk)) return chunk;
    const text = this.#held + chunk.toString('latin1').replaceAll('\0', '');
    this.#held = text.endsWith('\r') ? '\r' : '';
    const whole = text.slice(0, text.length - this.#held.length);
    return Buffer.from(whole.replace(/\r(?!\n)/g, ' ').replace(/(?<!\r)\n/g, '\r\n'), 'latin1');
  }

  end(): Buffer {
    return this.#held === '' ? NOTHING : Buffer.from(' ');
  }
}

export class LineBreakGuard {
  #afterCr = false;
  #hasNul = false;

  /** True if a NUL was found first. */
  get hasNul(): boolean {
    return this.#hasNul;
  }

  /** False as soon as a CR without LF, an LF without CR, or a NUL was found. */
  passes(chunk: Buffer): boolean {
    const lead = -chunk.byteOffset & 3;
    if (chunk.length < lead + 4) return this.#bytesPass(chunk, 0, chunk.length);
    const words = new Int32Array(chunk.buffer, chunk.byteOffset + lead, (chunk.length - lead) >> 2);
    if (!this.#bytesPass(chunk, 0, lead)) return false;
    for (let index = this.#next(words, 0); index < words.length; index = this.#next(words, index + 1)) {
      const at = lead + 4 * index;
      if (!this.#bytesPass(chunk, at, at + 4)) return false;
    }
    return this.#bytesPass(chunk, lead + 4 * words.length, chunk.length);
  }

  /** False if the message ends in the middle of a line break. */
  passesEnd(): boolean {
    return !this.#afterCr;
  }

  /** The next four bytes that may contain a line break. */
  #next(words: Int32Array, from: number): number {
    return this.#afterCr ? from : nextLow(words, from);
  }

  #bytesPass(chunk: Buffer, from: number, to: number): boolean {
    for (let at = from; at < to; at++) {
      if (this.#afterCr !== (chunk[at] === LF)) return false;
      if (chunk[at] === NUL) {
        this.#hasNul = true;
        return false;
      }
      this.#afterCr = chunk[at] === CR;
    }
    return true;
  }
}

/** The next word with a byte below 16, such as a line break. The length if there is none. */
function nextLow(words: Int32Array, from: number): number {
  let index = from;
  for (; index < words.length; index++) {
    const high = (words[index] as number) & HIGH_NIBBLES;
    if (((high - ONES) & ~high & TOPS) !== 0) break;
  }
  return index;
}
