/** The text that `mailrelay find` prints. Text of clients and next hops is printed without control characters. Pure. */
import { type HistoryEntry, MOST_COUNTED } from '#relay/history/entry.ts';
import { visible } from './terminal.ts';

export const WIDE_FOUND_HEAD =
  'ID  RECEIVED  BYTES  MESSAGE-ID  SENDER  ORIGINAL-SENDER  RECIPIENT  ORIGINAL-RECIPIENT  STATE  TIME  HOP  ANSWER\n'.replaceAll(
    '  ',
    '\t',
  );

type Recipient = HistoryEntry['recipients'][number];

/** The envelope, then each recipient with its answers. */
export function describeFound({
  id,
  received,
  from,
  originalFrom,
  messageId,
  recipients,
}: HistoryEntry): string {
  const named = messageId === undefined ? '' : `  Message-ID <${visible(messageId)}>`;
  const lines = recipients.flatMap((one) => [
    `      to ${visible(one.address)}${describeOriginals(one.originalTo)}: ${one.state}`,
    ...one.answers.map(({ time, result, hop, text }) => {
      const by = hop === undefined ? '' : ` by ${visible(hop)}`;
      return `         ${time}  ${result}${by}: ${visible(text)}`;
    }),
  ]);
  return `${[`${id}  ${received}  <${visible(from)}>${describeOriginals(originalFrom)}${named}`, ...lines].join('\n')}\n`;
}

function describeOriginals(originals: readonly string[] = []): string {
  return originals.length === 0 ? '' : ` (was ${originals.map(visible).join(', ')})`;
}

/** A line with tabs for each recipient, with its last answer. */
export function describeFoundWide(entry: HistoryEntry): string {
  const { id, received, bytes, from, originalFrom = [], messageId = '-' } = entry;
  const senders = listOriginals(originalFrom.map((one) => `<${one}>`));
  return entry.recipients
    .map((one) => {
      const sent = [id, received, bytes, visible(messageId), `<${visible(from)}>`, senders];
      return `${[...sent, ...describeEnd(one)].join('\t')}\n`;
    })
    .join('');
}

function listOriginals(originals: readonly string[] = []): string {
  return originals.length === 0 ? '-' : originals.map(visible).join(',');
}

function describeEnd({ address, originalTo, state, answers }: Recipient): string[] {
  const { time, hop = '-', text } = answers.at(-1) ?? { time: '-', text: '-' };
  return [address, listOriginals(originalTo), state, time, hop, text].map(visible);
}

/** The end of a list that is cut. `counted`: all messages that fit, those beyond MOST_COUNTED as one. */
export function describeMore(counted: number, most: number): string {
  const more = counted > MOST_COUNTED ? `more than ${MOST_COUNTED - most}` : Math.max(1, counted - most);
  return `... and ${more} more: add --most NUMBER, or what narrows it down\n`;
}
