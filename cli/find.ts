/**
 * `mailrelay find`: what became of mail, from the delivery history of a running relay. The exit status is 1 if there is no
 * such mail. What a list leaves out is counted, for programs on standard error.
 */
import { type HistoryEntry, printQuery } from '#relay/history/entry.ts';
import { describeFound, describeFoundWide, describeMore, WIDE_FOUND_HEAD } from './findtext.ts';
import { refuseUnreadable } from './misshapen.ts';
import { print } from './output.ts';
import { QueueClient } from './queueclient.ts';
import { stateFolder } from './statefolder.ts';
import type { Format } from './verb.ts';

interface FindOptions {
  readonly sender?: string;
  readonly recipient?: string;
  readonly id?: string;
  readonly messageId?: string;
  /** In seconds. */
  readonly newer?: number;
  readonly older?: number;
  readonly most: number;
  readonly output: Format;
  readonly state?: string;
}

export async function find(who: string | undefined, options: FindOptions): Promise<number> {
  const { sender, recipient, most, output, state } = options;
  const bounces = ', or <> for bounces';
  if (who !== undefined && who !== '<>') refuseUnreadable('who', who, bounces);
  if (sender !== undefined && sender !== '<>') refuseUnreadable('--sender', sender, bounces);
  if (recipient !== undefined) refuseUnreadable('--recipient', recipient);
  const client = new QueueClient(stateFolder(state));
  const query = buildQuery(who, options);
  // One more than the person wants tells that there are more.
  const found = await client.find(printQuery({ ...query, most: most + 1 }));
  const entries = found.slice(0, most);
  const more =
    found.length > most ? describeMore(await client.count(printQuery({ ...query, most })), most) : '';
  const isText = output === 'text' || output === 'wide';
  await print(
    output,
    entries,
    () => `${output === 'wide' ? describeWide(entries) : describeText(entries)}${more}`,
  );
  if (!isText) process.stderr.write(more);
  return entries.length > 0 ? 0 : 1;
}

function buildQuery(who: string | undefined, options: FindOptions) {
  const { sender, recipient, id, messageId, newer, older } = options;
  const ago = (seconds: number) => Math.max(0, Date.now() - seconds * 1000);
  const given = {
    address: who,
    sender,
    recipient,
    id,
    messageId,
    after: newer === undefined ? undefined : ago(newer),
    before: older === undefined ? undefined : ago(older),
  };
  const known = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(known);
}

function describeText(entries: readonly HistoryEntry[]): string {
  return entries.length === 0
    ? 'There is no such mail in the history.\n'
    : entries.map(describeFound).join('');
}

function describeWide(entries: readonly HistoryEntry[]): string {
  return `${WIDE_FOUND_HEAD}${entries.map(describeFoundWide).join('')}`;
}
