/** Counts the Received fields of a message to find loops. Pure. */
import { decodeHead } from '../headers/section.ts';

/** A normal path has fewer than ten. RFC 5321 section 6.3 would allow 100, which makes a long loop. */
const HOPS_BEFORE_LOOP = 50;

/** Counts the Received headers in a stream. Carries a few bytes from chunk to chunk. */
export class LoopGuard {
  #inHeaders = true;
  #carry = '\r\n';
  #hops = 0;

  /** False as soon as there are more hops than on a normal path. */
  passes(chunk: Buffer): boolean {
    if (!this.#inHeaders) return true;
    const text = this.#carry + decodeHead(chunk);
    const end = text.indexOf('\r\n\r\n');
    this.#inHeaders = end === -1;
    const headers = this.#inHeaders ? text : text.slice(0, end);
    this.#hops += headers.match(/\r\nreceived:/gi)?.length ?? 0;
    this.#carry = headers.slice(-('\r\nreceived:'.length - 1));
    return this.#hops <= HOPS_BEFORE_LOOP;
  }
}
