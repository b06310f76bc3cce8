/**
 * What becomes of the addresses of a message before it is routed, in words: aliases, refusals, copies and one box for all
 * (docs/rewriting.md), and recipients that a relay here has suppressed. Pure.
 */
import type { AddressMap } from '#crds/addresspolicy.ts';
import type { Policy } from '#crds/policyfile.ts';
import type { Becomes } from '#relay/listener/becomes.ts';
import { findCure } from '#relay/listener/cures.ts';
import type { Suppressed } from '#relay/suppression/entry.ts';
import type { Unseen } from './explainorders.ts';
import type { Suppression } from './explainrunning.ts';
import { note, row } from './terminal.ts';

/** Addresses of an alias that are named. */
const SHOWN = 20;

type Addresses = Becomes & { kind: 'addresses' };

interface Asked {
  readonly from: string;
  readonly to: string;
}

/** The policy without the maps that nobody can read here, and without SRS where its keys are not here. */
export function withoutUnseen(policy: Policy, unseen: readonly Unseen[]): Policy {
  const isSeen = ({ kind, name }: Unseen) => !unseen.some((one) => one.kind === kind && one.name === name);
  const seen = (map: AddressMap) => ({ ...map, tables: map.tables.filter(isSeen) });
  const { addresses } = policy;
  const { sender, recipient, senderBcc, recipientBcc, srs } = addresses;
  const maps = {
    sender: { ...sender, map: seen(sender.map) },
    recipient: { ...recipient, map: seen(recipient.map) },
    senderBcc: seen(senderBcc),
    recipientBcc: seen(recipientBcc),
    srs: srs && isSeen({ kind: 'Secret', name: srs.secret }) ? srs : null,
  };
  return { ...policy, addresses: { ...addresses, ...maps } };
}

export function describeUnseen(unseen: readonly Unseen[]): string {
  if (unseen.length === 0) return '';
  const names = new Set(unseen.map(({ kind, name }) => `${kind} "${name}"`));
  return `${row('note', `not among the documents: ${[...names].join(', ')}; with it, the addresses may become others (addresses)`)}\n`;
}

export function describeWrongTables(wrong: readonly string[]): string {
  return wrong.map((sentence) => `${row('note', sentence)}\n`).join('');
}

/** Nothing where the addresses stay as they are. */
export function describeBecomes({ from, to }: Asked, becomes: Addresses): string {
  const isSame = becomes.to.length === 1 && becomes.to[0] === to;
  const lines = [
    ...(becomes.from === from
      ? []
      : [row('sender', `becomes ${becomes.from}${tellWhere(becomes)} (addresses, inbound)`)]),
    ...(isSame ? [] : [row('becomes', `${listFirst(becomes.to)} (addresses)`)]),
    ...(becomes.copies.length === 0 ? [] : [row('copy to', listFirst(becomes.copies))]),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

const tellWhere = ({ isOfSubmitted }: Becomes) => (isOfSubmitted ? ' where the client may relay' : '');

function listFirst(addresses: readonly string[]): string {
  const more = addresses.length - SHOWN;
  return `${addresses.slice(0, SHOWN).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

export function describeRefused(refused: Becomes & { kind: 'refused' }): string {
  const { code, text, reason } = refused.reply;
  const cure = findCure(reason);
  const lines = [
    row('refused', `${code} ${text} (${reason})${tellWhere(refused)}`),
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
