/**
 * Everything that this relay changes in the headers and the envelope of a message: one list, in the order of the
 * changes. Each step is a small pure function. Envelope steps run before the message is read, header steps while it
 * streams. docs/rewriting.md shows the same list, and a test compares both. A step that has nothing to do for a policy
 * is left out, so it costs nothing.
 */
import type { Policy } from '#crds/policyfile.ts';
import { withPostmasterDomain, withSenderDomain } from '../addresses/address.ts';
import { addBcc } from './copies.ts';
import type { HeaderStep } from './header.ts';
import { masqueradedAddress, masqueradedField } from './masquerade.ts';
import { missingFields } from './missing.ts';
import { renderReceived } from './received.ts';

export interface StepTerms {
  readonly policy: Pick<Policy, 'hostname' | 'inbound'>;
  /** The client may relay. Headers of other mail pass unchanged, because a change breaks signatures. */
  readonly isSubmitted: boolean;
}

export interface Addressee {
  readonly address: string;
  readonly notify?: readonly string[];
  readonly orcpt?: string;
}

interface Addresses {
  /** Empty for the null sender, which never changes. */
  readonly from: string;
  readonly to: readonly Addressee[];
}

type EnvelopeStep = (addresses: Addresses) => Addresses;

export interface Step {
  /** As in docs/rewriting.md. */
  readonly name: string;
  readonly envelope?: (terms: StepTerms) => EnvelopeStep | undefined;
  readonly header?: (terms: StepTerms) => HeaderStep | undefined;
  /** The file that has the step, if it is no function of addresses or fields. */
  readonly file?: string;
}

export const STEPS: readonly Step[] = [
  {
    name: 'domains',
    envelope:
      ({ policy: { hostname, inbound }, isSubmitted }) =>
      ({ from, to }) => ({
        from: isSubmitted ? withSenderDomain(from, hostname) : from,
        to: to.map((one) => ({ ...one, address: withPostmasterDomain(one.address, inbound.acceptDomains) })),
      }),
  },
  {
    name: 'masquerading',
    envelope: (terms) => {
      const domains = listMasquerading(terms);
      return domains.length === 0
        ? undefined
        : ({ from, to }) => ({ from: masqueradedAddress(from, domains), to });
    },
    header: (terms) => {
      const domains = listMasquerading(terms);
      return domains.length === 0 ? undefined : { edits: (field) => masqueradedField(field, domains) };
    },
  },
  {
    name: 'copies',
    envelope: ({ policy }) => {
      const { alwaysBcc } = policy.inbound;
      return alwaysBcc === null ? undefined : ({ from, to }) => ({ from, to: addBcc(to, alwaysBcc) });
    },
  },
  { name: 'first line', file: 'relay/headers/firstline.ts' },
  {
    name: 'hidden recipients',
    // Recipients that other recipients must not see (RFC 5322 section 3.6.3).
    header: ({ isSubmitted }) =>
      isSubmitted ? { hides: (name) => name === 'bcc' || name === 'resent-bcc' } : undefined,
  },
  {
    name: 'missing fields',
    header: ({ isSubmitted }) => (isSubmitted ? { adds: missingFields } : undefined),
  },
  { name: 'Received', header: () => ({ front: renderReceived }) },
  // At each delivery, because the keys may change while a message waits. Nothing changes after it.
  { name: 'DKIM signatures', file: 'relay/dkim/signer.ts' },
];

export interface CompiledSteps {
  readonly changeEnvelope: EnvelopeStep;
  readonly header: readonly HeaderStep[];
}

/** Chooses the steps that have something to do for a message. Compiled once for a policy. */
export function compileSteps(policy: StepTerms['policy']): (isSubmitted: boolean) => CompiledSteps {
  const submitted = compile({ policy, isSubmitted: true });
  const others = compile({ policy, isSubmitted: false });
  return (isSubmitted) => (isSubmitted ? submitted : others);
}

function compile(terms: StepTerms): CompiledSteps {
  const envelope = STEPS.flatMap((step) => step.envelope?.(terms) ?? []);
  return {
    changeEnvelope: (addresses) => envelope.reduce((before, step) => step(before), addresses),
    header: STEPS.flatMap((step) => step.header?.(terms) ?? []),
  };
}

function listMasquerading({ policy, isSubmitted }: StepTerms): readonly string[] {
  return isSubmitted ? policy.inbound.masqueradeDomains : [];
}
