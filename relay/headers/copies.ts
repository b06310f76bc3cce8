/** The recipients that the policy adds or puts in the place of all. Pure. */
import { encodedWords } from '#crds/encodedwords.ts';
import { needsSmtpUtf8, readMailbox } from '../addresses/address.ts';
import { type AddressMap, keyOf } from '../addresses/addressmap.ts';
import { readTargets } from '../addresses/rewrite.ts';
import type { Addressee, Addresses, Changed } from './envelope.ts';
import { joinWishes } from './wishes.ts';

export interface CopyTerms {
  readonly senderBcc: AddressMap | undefined;
  readonly recipientBcc: AddressMap | undefined;
  readonly alwaysBcc: string | null;
}

/** UTF-8 bytes in an encoded word: a line with one has 76 characters at most (RFC 2047 section 2). */
const WORD_BYTES = 33;

type Listed = { readonly kind: 'copies'; readonly to: readonly string[] } | { readonly kind: 'unreadable' };

/**
 * The maps are asked for the sender, and for each recipient as the client gave it. The sender does not know of a copy, so
 * the sender gets no DSN about it. Nobody gets a second copy. A copy that cannot be made keeps the message waiting.
 */
export function addCopies({ from, to }: Addresses, terms: CopyTerms): Changed<Addresses> {
  const { senderBcc, recipientBcc, alwaysBcc } = terms;
  const lists = [
    listCopies(senderBcc, from),
    ...(recipientBcc ? listGiven(to).map((address) => listCopies(recipientBcc, address)) : []),
  ];
  const wanted = lists.flatMap((list) => (list.kind === 'copies' ? list.to : []));
  if (lists.some(({ kind }) => kind === 'unreadable'))
    return { kind: 'refused', refusal: { cause: 'unreadable' } };
  if (alwaysBcc !== null) wanted.push(alwaysBcc);
  if (wanted.length === 0) return { kind: 'changed', to: { from, to } };
  const seen = new Set(to.map(({ address }) => keyOf(address)));
  const copies = wanted.filter((address) => !seen.has(keyOf(address)) && seen.add(keyOf(address)));
  const added = copies.map((address): Addressee => ({ address, notify: ['NEVER'], isCopy: true }));
  return { kind: 'changed', to: { from, to: [...to, ...added] } };
}

/** Mail that nobody gets stays so. */
export function sendAllTo({ from, to }: Addresses, box: string): Addresses {
  if (to.length === 0) return { from, to };
  const given = listGiven(to.filter(({ isCopy }) => !isCopy)).filter((address) => address !== box);
  const { notify } = joinWishes(to);
  const more = { ...(given.length > 0 ? { given } : {}), ...(notify ? { notify } : {}) };
  return { from, to: [{ address: box, isCopy: true, ...more }] };
}

/** In ASCII: this field must not keep the message from a box without SMTPUTF8. */
export function renderOriginal(address: string): string {
  const text = needsSmtpUtf8(address) ? encodedWords(address, WORD_BYTES).join('\r\n\t') : address;
  return `X-Original-To: ${text}\r\n`;
}

function listGiven(to: readonly Addressee[]): readonly string[] {
  return [...new Set(to.flatMap(({ address, given = [address] }) => given))];
}

function listCopies(map: AddressMap | undefined, address: string): Listed {
  const mailbox = map && address !== '' ? readMailbox(address) : undefined;
  const entry = mailbox && map?.(mailbox);
  if (!entry) return { kind: 'copies', to: [] };
  const to = entry.kind === 'addresses' ? readTargets(entry.to, mailbox) : undefined;
  return to ? { kind: 'copies', to } : { kind: 'unreadable' };
}
