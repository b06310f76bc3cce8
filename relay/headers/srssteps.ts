/** The Sender Rewriting Scheme (addresses/srs.ts) in the envelope of forwarded mail and of its bounces. Pure. */
import type { Policy } from '#crds/policyfile.ts';
import { readMailbox } from '../addresses/address.ts';
import { isSrs, readReturn, type SrsKeys, signSender } from '../addresses/srs.ts';
import type { Addressee, EnvelopeStep } from './envelope.ts';

type Terms = Pick<Policy, 'inbound' | 'addresses'>;

const WAITS = { kind: 'refused', refusal: { cause: 'unreadable' } } as const;

/** A bounce to an address that we signed goes on to the original sender. */
export function takeReturns({ addresses }: Terms, keys: SrsKeys | undefined): EnvelopeStep | undefined {
  const domain = addresses.srs?.domain;
  if (domain === undefined) return undefined;
  return {
    recipient: (one, { sender, at }) => {
      const mailbox = readMailbox(one.address);
      if (mailbox?.domain !== domain || !isSrs(mailbox)) return { kind: 'changed', to: [one] };
      if (!keys) return WAITS;
      // Only bounces come back this way: who guesses a hash cannot send mail of his own through it.
      const address = sender === '' ? readReturn(mailbox, keys, at) : undefined;
      return address === undefined
        ? { kind: 'refused', refusal: { cause: 'foreign return' } }
        : { kind: 'changed', to: [{ ...one, address, given: [one.address], isFinal: true }] };
    },
  };
}

/**
 * A message that leaves our domains gets a sender in ours. A sender in our domains passes SPF already. A copy of submitted
 * mail, or its one box for all, goes from where its recipients would get it from. A message has one sender, so a copy
 * beside other recipients signs nothing: they shall see who wrote to them.
 */
export function signForwarded(
  { inbound, addresses }: Terms,
  keys: SrsKeys | undefined,
  isSubmitted: boolean,
): EnvelopeStep | undefined {
  const { srs } = addresses;
  if (srs === null) return undefined;
  const isOurs = (address: string) => inbound.acceptDomains.includes(readMailbox(address)?.domain ?? '');
  const isForwarded = ({ address, given, isCopy }: Addressee) =>
    (isCopy ? !isSubmitted : given !== undefined) && !isOurs(address);
  return {
    recipient: (one, { sender }) =>
      !keys && sender !== '' && isForwarded(one) ? WAITS : { kind: 'changed', to: [one] },
    all: ({ from, to }, { at }) => {
      const others = to.filter(({ isCopy }) => !isCopy);
      const leaves = (others.length > 0 ? others : to).some(isForwarded);
      const isSigned = from !== '' && !isOurs(from) && leaves;
      if (isSigned && !keys) return WAITS;
      const signed = isSigned && keys ? signSender(from, srs.domain, keys, at) : undefined;
      return {
        kind: 'changed',
        to: signed === undefined ? { from, to } : { from: signed, to, unsigned: from },
      };
    },
  };
}
