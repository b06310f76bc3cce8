/**
 * From DATA to the spool: streams the message into a writer with bounded memory, and enters it. Returns the queue id
 * when the message is durable. A message whose recipients are all suppressed enters no queue: its events are durable then,
 * and a history hears of it as soon as it can. Otherwise throws a Refusal and leaves nothing behind.
 */
import type { SMTPServerDataStream } from 'smtp-server';
import { isDiskFull, nameSystemError } from '#crds/systemwords.ts';
import { encodeArrival } from '../events/encode.ts';
import { MessageIdFinder } from '../headers/messageid.ts';
import { type Envelope, newQueueId } from '../spool/record.ts';
import type { Spool } from '../spool/spool.ts';
import type { MailForNobody } from '../task/messages.ts';
import type { Arrival } from './arrival.ts';
import { type ContentTerms, passContent } from './content.ts';
import { type Judges, judgedEnvelope, judgeMessage } from './judging.ts';
import { REPLIES, Refusal } from './reply.ts';

/** The client disconnected during the message. */
const ABORTED = new Set<unknown>(['ECONNECTION', 'ERR_STREAM_PREMATURE_CLOSE']);

export interface ReceiveDeps {
  readonly spool: Spool;
  /** Gets the real size, and may throw a Refusal. */
  readonly admit: (bytes: number) => void;
  readonly judges: Judges;
}

interface Taken {
  readonly id: string;
  readonly bytes: number;
  /** Absent if the message is in the queue. */
  readonly nowhere?: MailForNobody;
}

export async function receiveMessage(
  stream: SMTPServerDataStream,
  arrival: Arrival,
  { spool, admit, judges }: ReceiveDeps,
): Promise<Taken> {
  const { envelope, isTold, tellsEvents, judging } = arrival;
  const id = newQueueId(envelope.receivedAt);
  const body = spool.bodyWriter(id);
  const draft = judging ? spool.draftWriter(id) : undefined;
  const finder = isTold ? new MessageIdFinder() : undefined;
  const keep = (parts: readonly Buffer[]) => {
    if (finder) for (const part of parts) finder.push(part);
    return body.write(...parts);
  };
  try {
    const terms = makeTerms(id, arrival);
    let kept = envelope;
    if (judging && draft) {
      await passContent(stream, { ...terms, steps: null }, (parts) => draft.write(...parts));
      const judged = await judgeMessage(draft, { ...terms, steps: arrival.steps, judges, judging });
      for await (const part of judged.content) await keep([part]);
      kept = judgedEnvelope(envelope, judged);
    } else await passContent(stream, terms, keep);
    const { bytes } = body;
    const isForNobody = envelope.recipients.length === 0;
    if (!isForNobody) admit(bytes);
    const messageId = finder?.found;
    const found = messageId === undefined ? kept : { ...kept, messageId };
    const events = tellsEvents ? encodeArrival(id, found, bytes) : [];
    if (isForNobody) {
      await body.discard();
      if (events.length > 0) await spool.outbox.add(events);
      return { id, bytes, nowhere: describeNowhere(id, found, bytes) };
    }
    await spool.enter(id, found, await body.seal(), events);
    return { id, bytes };
  } catch (error) {
    await spool.giveUp(id, body);
    stream.resume();
    throw asRefusal(error);
  } finally {
    await draft?.discard();
  }
}

function makeTerms(
  queueId: string,
  { trace, steps, lineEndings, ownSenders, mostBytes }: Arrival,
): ContentTerms {
  return { trace: { ...trace, queueId }, steps, lineEndings, ownSenders, mostBytes };
}

function describeNowhere(id: string, envelope: Envelope, bytes: number): MailForNobody {
  const { from, givenFrom, reportsTo, discarded = [], receivedAt, messageId } = envelope;
  return {
    ...{ id, from, discarded, receivedAt, bytes },
    ...(givenFrom === undefined ? {} : { givenFrom }),
    ...(reportsTo === undefined ? {} : { reportsTo }),
    ...(messageId === undefined ? {} : { messageId }),
  };
}

/** The reply for the client: our own refusal, an error of the disk, or the end of the connection. */
export function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (ABORTED.has(nameSystemError(error))) return new Refusal(REPLIES.aborted);
  return new Refusal(isDiskFull(error) ? REPLIES.diskFull : REPLIES.diskFailed);
}
