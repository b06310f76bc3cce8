/**
 * Limits the deliveries under way over all destinations, which bounds memory and descriptors. Any number of
 * destinations may hang, so some slots are only for destinations that answer. A stranger chooses the hosts of MX mail
 * and reports, so some slots are only for configured hops. Pure.
 */

/**
 * `configured`: mail with a sender to a hop of the spec. `other`: a stranger may have chosen the host or sent the mail.
 */
export type Share = 'configured' | 'other';

/**
 * The kind of a requested delivery. `proven`: the destination answers. `first`: the first delivery to a destination
 * without an answer. `further`: another one to such a destination.
 */
export type Standing = 'proven' | 'first' | 'further';

const ALL = 400;
/** The remaining slots are for configured hops. */
const OTHER = 300;
/** The limit of this share for destinations without an answer when another one begins. */
const UNPROVEN = {
  configured: { first: 300, further: 100 },
  other: { first: 200, further: 70 },
} as const;
/**
 * The limit for configured hops without an answer plus the other share. The remaining slots are for destinations that
 * answer.
 */
const NOT_ANSWERING = { first: 350, further: 325 } as const;

export class Slots {
  readonly #inUse = { configured: 0, other: 0 };
  readonly #unproven = { configured: 0, other: 0 };

  get inUse(): number {
    return this.#inUse.configured + this.#inUse.other;
  }

  hasRoom(share: Share, standing: Standing): boolean {
    if (this.inUse >= ALL) return false;
    if (share === 'other' && this.#inUse.other >= OTHER) return false;
    if (standing === 'proven') return true;
    if (this.#unproven[share] >= UNPROVEN[share][standing]) return false;
    return share === 'other' || this.#unproven.configured + this.#inUse.other < NOT_ANSWERING[standing];
  }

  /** Returns a function that frees the slot. */
  take(share: Share, standing: Standing): () => void {
    const unproven = standing === 'proven' ? 0 : 1;
    this.#inUse[share] += 1;
    this.#unproven[share] += unproven;
    return () => {
      this.#inUse[share] -= 1;
      this.#unproven[share] -= unproven;
    };
  }
}
