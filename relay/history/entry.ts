/** What is asked of the history, and its answer: the story of a message, as data. Pure. */
import { domainAt } from '#crds/patterns.ts';
import { printMailbox, readDomain, readMailbox } from '../addresses/address.ts';
import type { MailEventKind } from '../queue/mailevent.ts';

/** Everything that is given must fit. Times are milliseconds since the epoch. */
export interface HistoryQuery {
  readonly id?: string;
  /** With or without brackets. */
  readonly messageId?: string;
  /** An address, or a domain. "<>" is the sender of bounces. */
  readonly sender?: string;
  readonly recipient?: string;
  /** Sender or recipient. */
  readonly address?: string;
  readonly after?: number;
  readonly before?: number;
  /** The newest messages. */
  readonly most: number;
}

/** gone: it is not in this queue any more, and no answer tells why: another pod took it, or a crash lost the answer. */
type State = 'queued' | 'gone' | Exclude<MailEventKind, 'deferred'>;

/** A message that the relay had. Times are RFC 3339, UTC. */
export interface HistoryEntry {
  readonly id: string;
  readonly from: string;
  /** The senders that the client gave, and that SRS signed, if they are others. */
  readonly originalFrom?: readonly string[];
  readonly received: string;
  readonly bytes: number;
  readonly messageId?: string;
  readonly recipients: readonly {
    readonly address: string;
    /** The addresses that the client gave, if they became this one. */
    readonly originalTo?: readonly string[];
    readonly state: State;
    /** The oldest first. */
    readonly answers: readonly Answer[];
  }[];
}

interface Answer {
  readonly time: string;
  readonly result: MailEventKind;
  readonly hop?: string;
  readonly text: string;
}

const WORDS = ['id', 'messageId', 'sender', 'recipient', 'address'] as const;
const NUMBERS = ['after', 'before'] as const;
/** One more than a person can ask for (cli/verbs/find.ts): it tells that there are more. */
const MOST = 10_001;
/** Beyond it nobody needs the exact number, and the router does other work. */
export const MOST_COUNTED = 100_000;

/** Undefined if it is no query. */
export function parseQuery(parameters: URLSearchParams): HistoryQuery | undefined {
  const known: readonly string[] = [...WORDS, ...NUMBERS, 'most'];
  if ([...parameters.keys()].some((name) => !known.includes(name))) return undefined;
  const words = WORDS.flatMap((name) => {
    const value = parameters.get(name);
    return value === null ? [] : [[name, value] as const];
  });
  const numbers = [...NUMBERS, 'most' as const].flatMap((name) => {
    const value = parameters.get(name);
    return value === null ? [] : [[name, Number(value)] as const];
  });
  if (numbers.some(([, value]) => !Number.isSafeInteger(value) || value < 0)) return undefined;
  const { most = 0, ...times } = Object.fromEntries(numbers);
  return { ...Object.fromEntries(words), ...times, most: Math.min(most, MOST) };
}

export function printQuery(query: HistoryQuery): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
}

/**
 * An address as it is looked up: its domain first, so that the addresses of a domain lie together. Without a local part it
 * stands for the whole domain.
 */
export function keyAddress(address: string): string {
  const at = domainAt(address);
  const [local, domain] = at === 0 ? ['', address] : [address.slice(0, at - 1), address.slice(at)];
  return address === '' ? '' : `${domain}@${local}`.toLowerCase();
}

/** The key of what a person looks for: quotes, letters of a country and a final dot make no difference, as for the relay. */
export function keyWanted(text: string): string {
  if (text === '<>') return keyAddress('');
  const mailbox = text.includes('@') ? readMailbox(text) : undefined;
  return keyAddress(mailbox ? printMailbox(mailbox) : (readDomain(text) ?? text));
}
