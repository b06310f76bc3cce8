/** What the address maps do to an envelope and to header fields. A map without entries does nothing. Pure. */
import type { Policy } from '#crds/policyfile.ts';
import { needsSmtpUtf8 } from '../addresses/address.ts';
import type { AddressMap } from '../addresses/addressmap.ts';
import { type AddressedAs, rewriteAddress } from '../addresses/rewrite.ts';
import { listFields, type Part } from './addressparts.ts';
import { editAddresses } from './editaddresses.ts';
import type { Addressee, EnvelopeStep } from './envelope.ts';
import type { HeaderStep } from './header.ts';
import type { Maps } from './maps.ts';

export function mapSender(
  { sender }: Policy['addresses'],
  { sender: map }: Maps,
  isSubmitted: boolean,
): EnvelopeStep | undefined {
  if (!map || !sender.parts.includes('Envelope') || (!isSubmitted && sender.mail !== 'All')) return undefined;
  return {
    sender: (address) => {
      const done = rewriteAddress(map, address, 'sender');
      // As in Postfix, a sender is the first address of an entry.
      return done.kind === 'refused' ? done : { kind: 'changed', to: done.to[0] ?? address };
    },
  };
}

export function mapRecipient(
  { recipient }: Policy['addresses'],
  { recipient: map }: Maps,
): EnvelopeStep | undefined {
  if (!map || !recipient.parts.includes('Envelope')) return undefined;
  return {
    recipient: (one) => {
      const done = rewriteAddress(map, one.address, 'recipient');
      return done.kind === 'refused'
        ? done
        : { kind: 'changed', to: done.to.map((address) => readdress(one, address)) };
    },
  };
}

/** Replaces an address in a header field where one address stands for one. */
export function mapField(
  parts: readonly Part[],
  map: AddressMap | undefined,
  as: AddressedAs,
): HeaderStep | undefined {
  const names = listFields(parts);
  if (!map || names.size === 0) return undefined;
  return {
    edits: (field) =>
      editAddresses(field, names, (address) => {
        const done = rewriteAddress(map, address, as);
        return done.kind === 'addresses' && done.to.length === 1 && done.to[0] !== address
          ? done.to[0]
          : undefined;
      }),
  };
}

/** A DSN names the original recipient (RFC 3461 section 5.2.7.1). The wishes of the sender stay. */
function readdress(one: Addressee, address: string): Addressee {
  if (address === one.address) return one;
  // RFC 6533 section 3.
  const type = needsSmtpUtf8(one.address) ? 'utf-8' : 'rfc822';
  return {
    ...one,
    address,
    given: one.given ?? [one.address],
    orcpt: one.orcpt ?? `${type};${one.address}`,
  };
}
