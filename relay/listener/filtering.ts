/**
 * Has a message judged by the content filter before the relay changes anything of it: keeps the message as it was
 * received, as a draft, asks, and returns what to store. A refusal of the filter throws. The draft takes memory or disk
 * as any body, until it is discarded.
 */
import type { ContentFilter } from '../filter/filter.ts';
import { type HeaderSteps, prependStep } from '../headers/header.ts';
import type { Trace } from '../headers/received.ts';
import type { BodyWriter } from '../spool/body.ts';
import type { Envelope } from '../spool/record.ts';
import type { Filtering } from './arrival.ts';
import { editContent } from './content.ts';
import { filterRefusal, REPLIES, Refusal } from './reply.ts';

export interface FilterCase {
  readonly filter: Pick<ContentFilter, 'decide'>;
  readonly filtering: Filtering;
  readonly trace: Trace;
  readonly steps: HeaderSteps;
}

export interface Judged {
  readonly content: AsyncIterable<Buffer>;
  /** Why a person has to release the message. Absent: it goes on. */
  readonly heldBecause?: string | undefined;
}

/** `received` has no header steps. */
export async function judgeMessage(
  received: AsyncIterable<Buffer>,
  draft: BodyWriter,
  { filter, filtering, trace, steps }: FilterCase,
): Promise<Judged> {
  let bytes = 0;
  for await (const chunk of received) {
    bytes += chunk.length;
    await draft.write(chunk);
  }
  const { terms, ...facts } = filtering;
  const decision = await filter.decide({ ...facts, trace, bytes, body: draft.read() }, terms);
  if (decision.kind === 'unavailable') throw new Refusal(REPLIES.filterUnavailable);
  if (decision.kind === 'refuse') throw new Refusal(filterRefusal(decision.permanent, decision.text));
  const content = editContent(draft.read(), { trace, steps: prependStep(decision.step, steps) });
  return { content, heldBecause: decision.heldBecause };
}

/** Nothing of a held message is delivered. The queue tools show the reason with each recipient. */
export function holdEnvelope(envelope: Envelope, reason: string | undefined): Envelope {
  if (reason === undefined) return envelope;
  return { ...envelope, hold: true, recipients: envelope.recipients.map((one) => ({ ...one, reason })) };
}
