/**
 * The text that `mailrelay queue` prints. Text of clients and next hops is printed without control characters. Pure.
 */
import type { Done, QueueAction, QueueEntry, RetryOutcome } from '#relay/queue/tools.ts';
import { age, visible } from './terminal.ts';

export const QUEUE_HEAD = `${columns('ID', 'STATE', 'AGE', 'SIZE')}  SENDER, RECIPIENTS\n`;
export const WIDE_HEAD =
  'ID  STATE  RECEIVED  BYTES  SENDER  RECIPIENT  DESTINATION  NEXT-ATTEMPT  REASON\n'.replaceAll('  ', '\t');

const DONE: Readonly<Record<QueueAction, string>> = {
  hold: 'held back',
  release: 'released',
  retry: 'is being tried',
  remove: 'removed',
};

/** The words for the results of a retry, for one message and for many. */
const OUTCOMES: Readonly<Record<RetryOutcome['outcome'], { readonly one: string; readonly many: string }>> = {
  delivered: { one: 'delivered', many: 'delivered' },
  returned: { one: 'returned to the sender', many: 'returned to their senders' },
  waiting: { one: 'tried, and still waits', many: 'tried, and still wait' },
  trying: { one: 'is still being tried', many: 'are still being tried' },
  gone: { one: 'tried, and is not in the queue any more', many: 'tried, and are not in the queue any more' },
};

/** The queue keeps no answers: they are in the log and in the history. */
const NOT_TRIED = 'not tried yet, or not since a restart: the log has the last answer';

const AGAIN = ', again in ';

/** The reasons that a summary tells. */
const REASONS = 5;

/** The result of an action on one message, and for a retry also the result of the attempt. */
export type Result = Done & Partial<Omit<RetryOutcome, 'id'>>;

const NOT_DONE: Readonly<Record<Exclude<Done['result'], 'done'>, string>> = {
  gone: 'is not in the queue (any more)',
  delivering: 'is being delivered right now, ask again in a moment',
  held: 'is held: release it first',
  queued: 'is not held',
  damaged: 'cannot be read: it can only be removed',
};

/** Formats a message in a few lines, as `postqueue -p` does. */
export function describeEntry(entry: QueueEntry, now: number): string {
  const { id, state, bytes, from, received, recipients } = entry;
  const head = columns(id, state, age(Date.parse(received), now), size(bytes));
  const lines = recipients.flatMap((recipient) => {
    const { address, destination } = recipient;
    const next = prospect(entry, recipient, now);
    const reason = recipient.reason ?? (next.startsWith(AGAIN) ? NOT_TRIED : undefined);
    const way = `      to ${visible(address)} by ${visible(destination)}${next}`;
    return reason === undefined ? [way] : [way, `         ${visible(reason)}`];
  });
  return `${[`${head}  <${visible(from)}>`, ...lines].join('\n')}\n`;
}

/** A line for each recipient, with exact values and tabs between them. */
export function describeWide({ id, state, received, bytes, from, recipients }: QueueEntry): string {
  const lines = recipients.map(({ address, destination, nextAttempt = '-', reason = '-' }) =>
    [address, destination, nextAttempt, reason].map(visible),
  );
  return (lines.length > 0 ? lines : [['-', '-', '-', '-']])
    .map((line) => `${[id, state, received, bytes, `<${visible(from)}>`, ...line].join('\t')}\n`)
    .join('');
}

/** The end of a list that is not printed whole. */
export function describeRest(messages: number): string {
  return messages === 0 ? '' : `... and ${messages} more: add --all to list them\n`;
}

export function describeTotal(messages: number, held: number, bytes: number): string {
  if (messages === 0) return 'There is nothing to show.\n';
  const waiting = held > 0 ? `, ${held} held` : '';
  return `-- ${messages} ${messages === 1 ? 'message' : 'messages'}${waiting}, ${size(bytes)}\n`;
}

export function describeDone(
  action: QueueAction,
  { id, result, outcome, reason, nextAttempt }: Result,
): string {
  const whose = visible(id);
  if (result !== 'done') return `${whose} ${NOT_DONE[result]}\n`;
  if (outcome === undefined) return `${whose} ${DONE[action]}\n`;
  const next = nextAttempt === undefined ? '' : `, again at ${nextAttempt}`;
  return `${whose} ${OUTCOMES[outcome].one}${next}${reason === undefined ? '' : `: ${visible(reason)}`}\n`;
}

const NOTHING_TO: Readonly<Record<QueueAction | 'export', string>> = {
  hold: 'hold back',
  release: 'release',
  retry: 'try',
  remove: 'remove',
  export: 'export',
};

/** Messages may be there all the same, such as those that are held already. */
export function describeNothing(action: QueueAction | 'export'): string {
  return `There is no such message to ${NOTHING_TO[action]}.\n`;
}

export function describeExported(messages: number, folder: string): string {
  if (messages === 0) return describeNothing('export');
  return `${messages === 1 ? '1 message' : `${messages} messages`} written into ${visible(folder)}\n`;
}

/** The results of an action on many messages: a line for each result, then the most frequent reasons. */
export function describeSummary(action: QueueAction, results: readonly Result[]): string {
  if (results.length === 0) return describeNothing(action);
  const counts = countBy(results, (one) => summarize(action, one));
  const reasons = countBy(
    results.filter(({ reason }) => reason !== undefined),
    ({ reason = '' }) => visible(reason),
  );
  const lines = [
    ...counts.map(([text, count]) => `${count === 1 ? '1 message' : `${count} messages`} ${text}`),
    ...reasons.slice(0, REASONS).map(([reason, count]) => `  ${count}x ${reason}`),
    ...(reasons.length > REASONS
      ? [`  and ${reasons.length - REASONS} other reasons: add --ids to see them`]
      : []),
  ];
  return `${lines.join('\n')}\n`;
}

function summarize(action: QueueAction, { result, outcome }: Result): string {
  if (result !== 'done') return `not: ${NOT_DONE[result]}`;
  return outcome === undefined ? DONE[action] : OUTCOMES[outcome].many;
}

/** The most frequent first. */
function countBy(results: readonly Result[], name: (one: Result) => string): [string, number][] {
  const counts = new Map<string, number>();
  for (const one of results) counts.set(name(one), (counts.get(name(one)) ?? 0) + 1);
  return [...counts].toSorted(([, a], [, b]) => b - a);
}

function prospect({ state }: QueueEntry, { nextAttempt }: QueueEntry['recipients'][number], now: number) {
  if (state !== 'queued') return '';
  if (nextAttempt === undefined) return ', on its way';
  const waitMs = Date.parse(nextAttempt) - now;
  return waitMs <= 0 ? ', due now' : `${AGAIN}${age(now, now + waitMs)}`;
}

function columns(id: string, state: string, old: string, bytes: string): string {
  return `${id.padEnd(16)}  ${state.padEnd(7)}  ${old.padStart(4)}  ${bytes.padStart(6)}`;
}

function size(bytes: number): string {
  const units = ['B', 'Ki', 'Mi', 'Gi', 'Ti'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 2 ** (10 * power);
  return `${power > 0 && value < 10 ? value.toFixed(1) : Math.round(value)}${units[power]}`;
}
