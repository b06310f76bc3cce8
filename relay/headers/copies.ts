/** The recipients that the policy adds or puts in the place of all. Pure. */
import { readMailbox } from '../addresses/address.ts';
import type { AddressMap } from '../addresses/addressmap.ts';
import type { Addresses } from './envelope.ts';

/** The sender does not know of the copy, so the sender gets no DSN about it. Nobody gets a second copy. */
export function copyToOne({ from, to }: Addresses, bcc: string | null): Addresses {
  if (bcc === null || to.some(({ address }) => address === bcc)) return { from, to };
  return { from, to: [...to, { address: bcc, notify: ['NEVER'] }] };
}

/** The maps are asked for the sender, and for each recipient as the client gave it. */
export function copyToMaps(
  addresses: Addresses,
  { senderBcc, recipientBcc }: Readonly<Record<'senderBcc' | 'recipientBcc', AddressMap | undefined>>,
): Addresses {
  const { from, to } = addresses;
  const copies = [
    ...listCopies(senderBcc, from),
    ...to.flatMap(({ address, given = address }) => listCopies(recipientBcc, given)),
  ];
  return copies.reduce(copyToOne, addresses);
}

/** Mail that nobody gets stays so. */
export function sendAllTo({ from, to }: Addresses, box: string): Addresses {
  return { from, to: to.length === 0 ? to : [{ address: box }] };
}

/** As bytes in a text of one character for each (section.ts). */
export function renderOriginal(address: string): string {
  return `X-Original-To: ${Buffer.from(address).toString('latin1')}\r\n`;
}

function listCopies(map: AddressMap | undefined, address: string): readonly string[] {
  const mailbox = map && address !== '' ? readMailbox(address) : undefined;
  const entry = mailbox && map?.(mailbox);
  return entry?.kind === 'addresses' ? entry.to : [];
}
