/** Selects the messages of a queue that a verb acts on: named ids, or all messages that match a filter. Pure. */
import type { QueueEntry } from '#relay/queue/tools.ts';
import { readDomains, readSenders } from './misshapen.ts';
import { UsageError } from './usage.ts';

/** The options that select messages. `all` is a filter that matches every message. */
export interface Wish {
  readonly all?: boolean | undefined;
  readonly held?: boolean | undefined;
  readonly sender?: string | undefined;
  readonly domain?: string | undefined;
  /** In seconds. */
  readonly older?: number | undefined;
}

/** `any`: the user gave neither ids nor filter. `list` then takes all messages; other verbs refuse. */
export type Selection =
  | { kind: 'ids'; ids: readonly string[] }
  | { kind: 'filter'; matches: (entry: QueueEntry, now: number) => boolean }
  | { kind: 'any' };

export function readSelection(ids: readonly string[], wish: Wish): Selection {
  const filters = buildFilters(wish);
  const isFilter = filters.length > 0 || wish.all === true;
  if (ids.length > 0 && isFilter)
    throw new UsageError('Name messages, or choose them by options, not both: see "mailrelay queue --help"');
  if (ids.length > 0) return { kind: 'ids', ids: [...new Set(ids)] };
  if (!isFilter) return { kind: 'any' };
  return { kind: 'filter', matches: (entry, now) => filters.every((fits) => fits(entry, now)) };
}

function buildFilters({
  held,
  sender,
  domain,
  older,
}: Wish): ((entry: QueueEntry, now: number) => boolean)[] {
  const filters: ((entry: QueueEntry, now: number) => boolean)[] = [];
  if (held) filters.push(({ state }) => state !== 'queued');
  if (sender !== undefined) filters.push(senderFilter(sender));
  if (domain !== undefined) {
    const isIt = readDomains('--domain', domain);
    filters.push(({ recipients }) => recipients.some(({ address }) => isIt(address)));
  }
  if (older !== undefined) filters.push(({ received }, now) => now - Date.parse(received) > older * 1000);
  return filters;
}

/** `<>` is the null sender of bounces. The sender of a damaged entry is unknown, so it matches no sender. */
function senderFilter(sender: string): (entry: QueueEntry) => boolean {
  if (sender === '<>') return ({ from, state }) => from === '' && state !== 'damaged';
  const isIt = readSenders('--sender', sender, ', or <> for bounces');
  return ({ from }) => from !== '' && isIt(from);
}
