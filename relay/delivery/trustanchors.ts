/**
 * The trust anchors that TLSA records vouch for (DANE-TA). Most records have a digest, so only the chain of the hop shows
 * the anchor, and OpenSSL has to know it before the handshake that verifies the chain. So it is kept by its records: it
 * fits them for ever, and the next connection needs one handshake only.
 */
import type { TlsPolicy } from './tlspolicy.ts';

/** Each is one set of records. The one that was found first is forgotten first. */
const MOST_SETS = 200;
/** Of one set. Hosts of one set may have different anchors, such as the authorities of one company. */
const MOST_ANCHORS = 10;

export class TrustAnchors {
  readonly #found = new Map<string, readonly string[]>();

  /** In PEM. */
  for({ trust }: TlsPolicy): readonly string[] {
    if (trust.kind !== 'tlsa' || this.#found.size === 0) return [];
    return this.#found.get(JSON.stringify(trust.records)) ?? [];
  }

  /** Returns all that are known now. */
  add(policy: TlsPolicy, anchors: readonly string[]): readonly string[] {
    if (policy.trust.kind !== 'tlsa') return [];
    const all = [...new Set([...anchors, ...this.for(policy)])].slice(0, MOST_ANCHORS);
    this.#found.set(JSON.stringify(policy.trust.records), all);
    const [oldest] = this.#found.keys();
    if (this.#found.size > MOST_SETS && oldest !== undefined) this.#found.delete(oldest);
    return all;
  }
}
