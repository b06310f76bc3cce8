/**
 * Events as they are kept and sent: JSON, with the names that docs/events.md promises. An event is made where its change
 * is written, so it is small, and complete without the message.
 */
import { listDiscarded, type MailEvent } from '../queue/mailevent.ts';
import { newQueueId, type QueueRecord } from '../spool/record.ts';
import type { SpoolEvent } from '../spool/spool.ts';
import { timestamp } from '../task/timestamp.ts';

/** An event names no more addresses, and so many recipients of a message that go nowhere are told. */
const MOST = 100;

/** The relay took a message and answered 250. For some of its recipients it may go nowhere. */
export function encodeArrival(
  id: string,
  record: Omit<QueueRecord, 'bytes' | 'crc' | 'body'>,
  bytes: number,
): readonly SpoolEvent[] {
  const { from, recipients, receivedAt, messageId, givenFrom, discarded } = record;
  const given = recipients.some((one) => one.given)
    ? [...new Set(recipients.flatMap((one) => one.given ?? []))]
    : undefined;
  const data = {
    queueId: id,
    messageId,
    from,
    originalFrom: givenFrom,
    recipients: recipients.slice(0, MOST).map(({ address }) => address),
    originalRecipients: given?.slice(0, MOST),
    recipientCount: recipients.length,
    bytes,
  };
  const accepted: Fact = { kind: 'accepted', at: receivedAt, data };
  if (!discarded) return encode([accepted]);
  const nowhere = listDiscarded(id, { receivedAt, discarded: discarded.slice(0, MOST) });
  return encode([accepted, ...describe(record, nowhere)]);
}

type Sender = Pick<QueueRecord, 'from' | 'givenFrom' | 'messageId'>;

/** What became of recipients of a message. */
export function encodeEvents(sender: Sender, events: readonly MailEvent[]): readonly SpoolEvent[] {
  return encode(describe(sender, events));
}

interface Fact {
  readonly kind: string;
  readonly at: number;
  readonly data: Readonly<Record<string, unknown>>;
}

function describe(
  { from, givenFrom: originalFrom, messageId }: Sender,
  events: readonly MailEvent[],
): readonly Fact[] {
  return events.flatMap(({ kind, at, id, to, given, hop, cause, status, text, complaint }) => {
    const originalTo = given?.slice(0, MOST);
    const data = { queueId: id, messageId, from, originalFrom, to, originalTo, hop, cause, status, text };
    const fact = { kind, at, data };
    return complaint ? [fact, { kind: 'complained', at, data: { ...complaint, reportQueueId: id } }] : [fact];
  });
}

/** The body of a request. Events that are kept are JSON already. */
export function printBatch(
  relay: { readonly name: string; readonly namespace: string },
  events: readonly SpoolEvent[],
  sentAt: number,
): Buffer {
  const { name, namespace } = relay;
  const head = JSON.stringify({
    type: 'mail.events',
    timestamp: timestamp(sentAt),
    relay: { name, namespace },
  });
  const list = events.map(({ value }) => value).join();
  return Buffer.from(`${head.slice(0, -1)},"data":{"events":[${list}]}}`);
}

/** They are sent in the order of their keys, and facts of one millisecond in the order of this list. */
function encode(facts: readonly Fact[]): readonly SpoolEvent[] {
  const keys = facts.map(({ at }) => newQueueId(at)).toSorted();
  return facts.map(({ kind, at, data }, index) => {
    const key = keys[index] ?? newQueueId(at);
    // None of the three has a character that JSON escapes.
    const head = `"id":"${key}","type":"mail.${kind}","timestamp":"${timestamp(at)}"`;
    return { key, value: `{${head},"data":${JSON.stringify(data)}}` };
  });
}
