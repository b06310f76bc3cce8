/**
 * The trust anchors that TLSA records vouch for (DANE-TA). Most records have a digest, so only the chain of the hop shows
 * the anchor, and OpenSSL has to know it before the handshake that verifies the chain. So the anchors of the last chain
 * that proved the hop, or that nothing has refuted yet, are kept, and the next connection needs one handshake only. A
 * stranger can make a certificate that matches the records of another host, so they are kept for the name of the records
 * alone. What is kept proves nothing by itself: where it does not fit the chain, the anchors of that chain are tried alone.
 */
import { createHash } from 'node:crypto';
import { dropOldest } from '../task/oldest.ts';
import type { TlsPolicy } from './tlspolicy.ts';

/** Those that were kept first are forgotten first. */
const MOST_SETS = 200;

export class TrustAnchors {
  readonly #kept = new Map<string, readonly string[]>();

  /** In PEM. */
  for({ trust }: TlsPolicy): readonly string[] {
    if (trust.kind !== 'tlsa' || this.#kept.size === 0) return [];
    return this.#kept.get(keyOf(trust)) ?? [];
  }

  /** A connection that trusted only these has proved the hop, or has not come so far. */
  keep({ trust }: TlsPolicy, anchors: readonly string[]): void {
    if (trust.kind !== 'tlsa') return;
    this.#kept.set(keyOf(trust), anchors);
    dropOldest(this.#kept, MOST_SETS);
  }
}

/** A digest, because strangers choose how long their records are. */
function keyOf({ base, records }: TlsPolicy['trust'] & { kind: 'tlsa' }): string {
  return createHash('sha256')
    .update(JSON.stringify([base, records]))
    .digest('base64');
}
