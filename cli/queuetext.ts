/**
 * The text that `mailrelay queue` prints. Text of clients and next hops is printed without control characters. Pure.
 */
import type { Done, QueueAction, QueueEntry } from '#relay/queue/tools.ts';
import { age, visible } from './terminal.ts';

export const QUEUE_HEAD = `${columns('ID', 'STATE', 'AGE', 'SIZE')}  SENDER, RECIPIENTS\n`;

const DONE: Readonly<Record<QueueAction, string>> = {
  hold: 'held back',
  release: 'released',
  retry: 'tried now',
  remove: 'removed',
};

const NOT_DONE: Readonly<Record<Exclude<Done['result'], 'done'>, string>> = {
  gone: 'is not in the queue (any more)',
  delivering: 'is being delivered right now, ask again in a moment',
  held: 'is held: release it first',
  damaged: 'cannot be read: it can only be removed',
};

/** Formats a message in a few lines, as `postqueue -p` does. */
export function describeEntry(entry: QueueEntry, now: number): string {
  const { id, state, bytes, from, received, recipients } = entry;
  const head = columns(id, state, age(Date.parse(received), now), size(bytes));
  const lines = recipients.flatMap((recipient) => {
    const { address, destination, reason } = recipient;
    const way = `      to ${visible(address)} by ${visible(destination)}${prospect(entry, recipient, now)}`;
    return reason === undefined ? [way] : [way, `         ${visible(reason)}`];
  });
  return `${[`${head}  <${visible(from)}>`, ...lines].join('\n')}\n`;
}

export function describeTotal(messages: number, held: number, bytes: number): string {
  if (messages === 0) return 'There is nothing to show.\n';
  const waiting = held > 0 ? `, ${held} held` : '';
  return `-- ${messages} ${messages === 1 ? 'message' : 'messages'}${waiting}, ${size(bytes)}\n`;
}

export function describeDone(action: QueueAction, { id, result }: Done): string {
  return result === 'done' ? `${id} ${DONE[action]}\n` : `${id} ${NOT_DONE[result]}\n`;
}

function prospect({ state }: QueueEntry, { nextAttempt }: QueueEntry['recipients'][number], now: number) {
  if (state !== 'queued') return '';
  if (nextAttempt === undefined) return ', on its way';
  const waitMs = Date.parse(nextAttempt) - now;
  return waitMs <= 0 ? ', due now' : `, again in ${age(now, now + waitMs)}`;
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
