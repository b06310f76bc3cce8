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
 * The kind of a requested delivery. `first`: the first delivery to a destination without an answer. `probe`: to a
 * destination that has failed. `further`: another one without an answer. `proven`: the destination answers.
 */
export const STANDINGS = ['first', 'probe', 'further', 'proven'] as const;
export type Standing = (typeof STANDINGS)[number];

const ALL = 400;
/** The remaining slots are for configured hops. */
const OTHER = 300;
/** The limit of this share for destinations without an answer when another one begins. */
const UNPROVEN = {
  configured: { first: 300, probe: 300, further: 100 },
  other: { first: 200, probe: 200, further: 70 },
} as const;
/** First deliveries and probes leave each other the rest, however many of either wait. */
const OF_ONE_KIND = { configured: 240, other: 150 } as const;
/**
 * The limit for configured hops without an answer plus the other share. The remaining slots are for destinations that
 * answer.
 */
const NOT_ANSWERING = { first: 350, probe: 350, further: 325 } as const;

export class Slots {
  readonly #inUse = { configured: 0, other: 0 };
  readonly #unproven = {
    configured: { first: 0, probe: 0, further: 0 },
    other: { first: 0, probe: 0, further: 0 },
  };

  get inUse(): number {
    return this.#inUse.configured + this.#inUse.other;
  }

  hasRoom(share: Share, standing: Standing): boolean {
    if (this.inUse >= ALL) return false;
    if (share === 'other' && this.#inUse.other >= OTHER) return false;
    if (standing === 'proven') return true;
    const unproven = this.#countUnproven(share);
    if (unproven >= UNPROVEN[share][standing]) return false;
    if (this.#unproven[share][standing] >= OF_ONE_KIND[share]) return false;
    return share === 'other' || unproven + this.#inUse.other < NOT_ANSWERING[standing];
  }

  /** Returns a function that frees the slot. */
  take(share: Share, standing: Standing): () => void {
    const unproven = this.#unproven[share];
    this.#inUse[share] += 1;
    if (standing !== 'proven') unproven[standing] += 1;
    return () => {
      this.#inUse[share] -= 1;
      if (standing !== 'proven') unproven[standing] -= 1;
    };
  }

  #countUnproven(share: Share): number {
    const { first, probe, further } = this.#unproven[share];
    return first + probe + further;
  }
}
