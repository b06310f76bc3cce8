/**
 * Everything that this relay changes in the headers and the envelope of a message: one list, in the order of the
 * changes. Each step is a small pure function. Senders are changed at MAIL and recipients at RCPT, because a map may
 * refuse them. Other envelope steps run before the message is read, and header steps while it streams. docs/rewriting.md
 * shows the same list, and a test compares both. A step that has nothing to do for a policy is left out, so it costs
 * nothing.
 */
import type { Policy } from '#crds/policyfile.ts';
import { withPostmasterDomain, withSenderDomain } from '../addresses/address.ts';
import { matchReportAddress } from '../addresses/reportfields.ts';
import { addChosen, compileRemoval } from './chosenfields.ts';
import { addCopies, renderOriginal, sendAllTo } from './copies.ts';
import type { Changed, EnvelopeStep } from './envelope.ts';
import type { HeaderStep } from './header.ts';
import type { Maps } from './maps.ts';
import { mapField, mapRecipient, mapSender } from './mapsteps.ts';
import { masqueradedAddress, masqueradedField } from './masquerade.ts';
import { missingFields } from './missing.ts';
import { hidesResultsOf } from './ownresults.ts';
import { renderReceived } from './received.ts';
import { signForwarded, takeReturns } from './srssteps.ts';

export interface StepTerms {
  readonly policy: Pick<Policy, 'hostname' | 'inbound' | 'addresses' | 'headers'>;
  readonly maps: Maps;
  /** The client may relay. Headers of other mail pass unchanged unless the policy asks, because a change breaks signatures. */
  readonly isSubmitted: boolean;
}

export interface Step {
  /** As in docs/rewriting.md. */
  readonly name: string;
  readonly envelope?: (terms: StepTerms) => EnvelopeStep | undefined;
  readonly header?: (terms: StepTerms) => HeaderStep | undefined;
  /** The file that has the step, if it is no function of addresses or fields. */
  readonly file?: string;
}

const changed = <Value>(to: Value): Changed<Value> => ({ kind: 'changed', to });

export const STEPS: readonly Step[] = [
  // These two judge a message as it was received, so everything else comes after them.
  { name: 'content filter', file: 'relay/filter/fields.ts' },
  {
    name: 'authentication results',
    file: 'relay/verify/field.ts',
    // Nothing of submitted mail is verified, but no client may say our results.
    header: ({ policy: { inbound }, isSubmitted }) => {
      const { authenticationResults: results } = inbound;
      return isSubmitted && results !== null ? { hides: hidesResultsOf(results.authservId) } : undefined;
    },
  },
  {
    name: 'first line',
    file: 'relay/headers/firstline.ts',
    // Other mail may be signed.
    header: ({ isSubmitted }) => (isSubmitted ? { repairs: true } : undefined),
  },
  {
    name: 'domains',
    envelope: ({ policy, isSubmitted }) => {
      const { acceptDomains } = policy.inbound;
      const isReportAddress = matchReportAddress(policy);
      return {
        sender: (address) => changed(isSubmitted ? withSenderDomain(address, policy.hostname) : address),
        recipient: (one) => {
          const address = withPostmasterDomain(one.address, acceptDomains);
          return changed([
            isReportAddress(address) ? { ...one, address, isFinal: true } : { ...one, address },
          ]);
        },
      };
    },
  },
  {
    name: 'sender maps',
    envelope: ({ policy, maps, isSubmitted }) => mapSender(policy.addresses, maps, isSubmitted),
    header: ({ policy, maps, isSubmitted }) => {
      const { parts, mail } = policy.addresses.sender;
      return isSubmitted || mail === 'All' ? mapField(parts, maps.sender, 'sender') : undefined;
    },
  },
  {
    name: 'masquerading',
    envelope: (terms) => {
      const domains = listMasquerading(terms);
      return domains.length === 0
        ? undefined
        : { sender: (address) => changed(masqueradedAddress(address, domains)) };
    },
    header: (terms) => {
      const domains = listMasquerading(terms);
      return domains.length === 0 ? undefined : { edits: (field) => masqueradedField(field, domains) };
    },
  },
  {
    name: 'SRS returns',
    envelope: ({ policy, maps }) => takeReturns(policy, maps.srsKeys),
  },
  {
    name: 'recipient maps',
    envelope: ({ policy, maps }) => mapRecipient(policy.addresses, maps),
    header: ({ policy, maps, isSubmitted }) => {
      const { parts, headersOf } = policy.addresses.recipient;
      return isSubmitted || headersOf === 'All' ? mapField(parts, maps.recipient, 'recipient') : undefined;
    },
  },
  {
    name: 'copies',
    envelope: ({ policy: { inbound }, maps }) => {
      const { alwaysBcc } = inbound;
      const { senderBcc, recipientBcc } = maps;
      return senderBcc || recipientBcc || alwaysBcc !== null
        ? { all: (addresses) => addCopies(addresses, { senderBcc, recipientBcc, alwaysBcc }) }
        : undefined;
    },
  },
  {
    name: 'one box for all',
    envelope: ({ policy }) => {
      const box = policy.addresses.sendAllTo;
      return box === null ? undefined : { all: (addresses) => changed(sendAllTo(addresses, box)) };
    },
    header: ({ policy }) =>
      policy.addresses.sendAllTo === null
        ? undefined
        : { adds: (_, { recipients }) => recipients.map(renderOriginal).join('') },
  },
  {
    name: 'SRS senders',
    envelope: ({ policy, maps, isSubmitted }) => signForwarded(policy, maps.srsKeys, isSubmitted),
  },
  {
    name: 'hidden recipients',
    // Recipients that other recipients must not see (RFC 5322 section 3.6.3).
    header: ({ isSubmitted }) =>
      isSubmitted ? { hides: (name) => name === 'bcc' || name === 'resent-bcc' } : undefined,
  },
  {
    name: 'removed fields',
    header: ({ policy, isSubmitted }) => {
      const { remove } = policy.headers;
      return isSubmitted && remove.length > 0 ? { hides: compileRemoval(remove) } : undefined;
    },
  },
  {
    name: 'missing fields',
    header: ({ isSubmitted }) => (isSubmitted ? { adds: missingFields } : undefined),
  },
  {
    name: 'added fields',
    header: ({ policy, isSubmitted }) => {
      const { add } = policy.headers;
      return isSubmitted && add.length > 0 ? { adds: (has) => addChosen(add, has) } : undefined;
    },
  },
  {
    name: 'Received',
    header: ({ policy, isSubmitted }) => {
      const content = isSubmitted ? policy.headers.received : 'Full';
      return { front: (trace) => renderReceived(trace, content) };
    },
  },
  // Both at each delivery, because the keys may change while a message waits. Nothing changes after them.
  { name: 'ARC seal', file: 'relay/dkim/arc.ts' },
  { name: 'DKIM signatures', file: 'relay/dkim/signer.ts' },
];

function listMasquerading({ policy, isSubmitted }: StepTerms): readonly string[] {
  return isSubmitted ? policy.inbound.masqueradeDomains : [];
}
