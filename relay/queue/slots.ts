/**
 * How many deliveries may be under way over all destinations: bounds memory and descriptors. Any number of destinations
 * may hang, so those that answer always have room, and strangers choose where MX mail and reports go, so configured
 * hops always have some. Pure.
 */

/** `configured`: mail with a sender to a hop of the spec. `other`: where a stranger may choose the host, or sent it. */
export type Share = 'configured' | 'other';

/**
 * What a queue asks for: a delivery to a destination that answers; the first of one that has not answered yet, or no
 * longer; or a further one of these.
 */
export type Standing = 'proven' | 'first' | 'further';

const ALL = 400;
/** The rest is for configured hops. */
const OTHER = 300;
/** Of its share, how many may be to destinations that do not answer (yet) when another one begins. */
const UNPROVEN = {
  configured: { first: 300, further: 100 },
  other: { first: 200, further: 70 },
} as const;
/** Configured hops that do not answer, together with the other share: the rest is for those that do. */
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

  /** Gives what gives it back. */
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
