/** The address maps of a policy, ready for look-ups, and the keys for return addresses. A map without entries is absent, and costs nothing. Pure. */
import type { AddressMap as MapOfPolicy } from '#crds/addresspolicy.ts';
import type { Policy } from '#crds/policyfile.ts';
import { nameTable } from '#crds/references.ts';
import { type AddressMap, makeAddressMap, makeTable, type Table } from '../addresses/addressmap.ts';
import type { SrsKeys } from '../addresses/srs.ts';

export interface Maps {
  readonly sender: AddressMap | undefined;
  readonly recipient: AddressMap | undefined;
  readonly senderBcc: AddressMap | undefined;
  readonly recipientBcc: AddressMap | undefined;
  /** Undefined while there is no key. */
  readonly srsKeys: SrsKeys | undefined;
}

/** `open` returns a table by its name (`nameTable`). */
export function compileMaps(
  { hostname, inbound, addresses }: Pick<Policy, 'hostname' | 'inbound' | 'addresses'>,
  open: (name: string) => Table = () => UNREADABLE,
  srsKeys?: SrsKeys,
): Maps {
  const { sender, recipient, senderBcc, recipientBcc } = addresses;
  const origin = inbound.acceptDomains[0] ?? hostname;
  const compile = ({ entries, tables }: MapOfPolicy) =>
    makeAddressMap(
      [...(entries.length > 0 ? [makeTable(entries)] : []), ...tables.map((table) => open(nameTable(table)))],
      origin,
    );
  return {
    sender: compile(sender.map),
    recipient: compile(recipient.map),
    senderBcc: compile(senderBcc),
    recipientBcc: compile(recipientBcc),
    srsKeys,
  };
}

/** Nobody knows whether a table that is missing has an entry, so every look-up has to wait. */
export const UNREADABLE: Table = { find: () => ({ kind: 'unreadable' }), hasPatterns: true };
