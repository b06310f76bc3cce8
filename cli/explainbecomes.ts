/**
 * What becomes of the addresses of a message before it is routed, in words: aliases, refusals, copies and one box for all
 * (docs/rewriting.md), and recipients that a relay here has suppressed. Pure.
 */
import type { Policy } from '#crds/policyfile.ts';
import type { Becomes } from '#relay/listener/becomes.ts';
import { findCure } from '#relay/listener/cures.ts';
import type { Suppressed } from '#relay/suppression/entry.ts';
import type { Suppression } from './explainrunning.ts';
import { note, row } from './terminal.ts';

/** Addresses of an alias that are named. */
const SHOWN = 20;

type Addresses = Becomes & { kind: 'addresses' };

interface Asked {
  readonly from: string;
  readonly to: string;
}

/** Nothing where the addresses stay as they are. */
export function describeBecomes({ from, to }: Asked, becomes: Addresses): string {
  const isSame = becomes.to.length === 1 && becomes.to[0] === to;
  const lines = [
    ...(becomes.from === from
      ? []
      : [row('sender', `becomes ${becomes.from} where the client may relay (addresses, inbound)`)]),
    ...(isSame ? [] : [row('becomes', `${listFirst(becomes.to)} (addresses)`)]),
    ...(becomes.copies.length === 0 ? [] : [row('copy to', listFirst(becomes.copies))]),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

function listFirst(addresses: readonly string[]): string {
  const more = addresses.length - SHOWN;
  return `${addresses.slice(0, SHOWN).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

export function describeRefused({ reply: { code, text, reason } }: Becomes & { kind: 'refused' }): string {
  const cure = findCure(reason);
  const lines = [
    row('refused', `${code} ${text} (${reason})`),
    ...(cure === undefined ? [] : [note(`cure: ${cure}`)]),
  ];
  return `${lines.join('\n')}\n`;
}

/** A domain alone is not suppressed. undefined: nobody knows. */
export function findSuppressed(suppression: Suppression, to: string): Suppressed | null | undefined {
  if (suppression.kind === 'unknown' && to.includes('@')) return undefined;
  const isSame = ({ address }: Suppressed) => address.toLowerCase() === to.toLowerCase();
  return (suppression.kind === 'known' && suppression.list.find(isSame)) || null;
}

export function describeSuppressed({ queue }: Policy, found: Suppressed | null | undefined): string {
  if (found === null) return '';
  if (found === undefined)
    return `${row('note', 'a running relay may have suppressed the address (queue.suppression): name its folder by --state DIR')}\n`;
  const { until, bounces, text } = found;
  const times = bounces === 1 ? '1 bounce' : `${bounces} bounces`;
  const field = `queue.suppression, action ${queue.suppression?.action}`;
  return `${row('suppressed', `it gets no mail until ${until}, after ${times}: ${text} (${field})`)}\n`;
}
