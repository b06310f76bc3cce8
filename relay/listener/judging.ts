/**
 * Has a message judged before the relay changes anything of it: keeps the message as it was received, as a draft, asks
 * the content filter, verifies the sender, and returns what to store. A refusal of the filter throws. The draft takes
 * memory or disk as any body, until it is discarded.
 */
import type { ContentFilter, Decision } from '../filter/filter.ts';
import { type HeaderSteps, prependStep } from '../headers/header.ts';
import type { Trace } from '../headers/received.ts';
import type { BodyWriter } from '../spool/body.ts';
import type { ArcFacts, Envelope } from '../spool/record.ts';
import type { Verification, Verifier } from '../verify/verifier.ts';
import type { Judging } from './arrival.ts';
import { editContent } from './content.ts';
import { filterRefusal, REPLIES, Refusal } from './reply.ts';

/** Undefined: the policy has none. */
export interface Judges {
  readonly filter: ContentFilter | undefined;
  readonly verifier: Verifier | undefined;
}

export interface Case {
  readonly judges: Judges;
  readonly judging: Judging;
  readonly trace: Trace;
  readonly steps: HeaderSteps;
}

export interface Judged {
  readonly content: AsyncIterable<Buffer>;
  /** Why a person has to release the message. Absent: it goes on. */
  readonly heldBecause?: string | undefined;
  /** What an ARC seal may say. */
  readonly arc?: ArcFacts | undefined;
}

const UNFILTERED: Decision = { kind: 'take', step: {} };
const UNVERIFIED: Verification = { step: {}, arc: undefined };

/** `draft` is the whole message, without header steps. */
export async function judgeMessage(
  draft: BodyWriter,
  { judges: { filter, verifier }, judging, trace, steps }: Case,
): Promise<Judged> {
  const { bytes } = draft;
  const { sender, login, terms, isVerified } = judging;
  const decision =
    filter && terms
      ? await filter.decide({ trace, sender, login, bytes, body: draft.read() }, terms)
      : UNFILTERED;
  if (decision.kind === 'unavailable') throw new Refusal(REPLIES.filterUnavailable);
  if (decision.kind === 'refuse') throw new Refusal(filterRefusal(decision.permanent, decision.text));
  // A refused message is not verified, because that costs look-ups.
  const { step, arc } =
    verifier && isVerified ? await verifier.verify({ trace, sender, read: () => draft.read() }) : UNVERIFIED;
  const all = prependStep(decision.step, prependStep(step, steps));
  return {
    content: editContent(draft.read(), { trace, steps: all }),
    heldBecause: decision.heldBecause,
    arc,
  };
}

/** Nothing of a held message is delivered. The queue tools show the reason with each recipient. */
export function judgedEnvelope(envelope: Envelope, { heldBecause: reason, arc }: Judged): Envelope {
  const sealed = arc ? { ...envelope, arc } : envelope;
  if (reason === undefined) return sealed;
  return { ...sealed, hold: true, recipients: envelope.recipients.map((one) => ({ ...one, reason })) };
}
