/** A recipient that bounced: how often, and until when it is suppressed. Pure. */
import { cutText } from '#crds/cut.ts';
import type { Policy } from '#crds/policyfile.ts';
import type { MailEvent } from '../queue/mailevent.ts';

type Terms = NonNullable<Policy['queue']['suppression']>;

/** Times are milliseconds since the epoch. */
export interface Bounced {
  readonly bounces: number;
  readonly lastAt: number;
  /** null: it has not bounced often enough. */
  readonly until: number | null;
  readonly status: string;
  /** The last answer of a next hop. */
  readonly text: string;
}

/** A recipient that gets no mail now, in a list. */
export interface Suppressed {
  readonly address: string;
  /** RFC 3339, UTC. */
  readonly until: string;
  readonly bounces: number;
  readonly status: string;
  readonly text: string;
}

/** gone: it was not suppressed. */
export interface Lifted {
  readonly address: string;
  readonly result: 'done' | 'gone';
}

const TEXT_LENGTH = 200;

export function encodeBounced(bounced: Bounced): string {
  return JSON.stringify(bounced);
}

/** Undefined if there is none. */
export function decodeBounced(value: string | undefined): Bounced | undefined {
  return value === undefined ? undefined : (JSON.parse(value) as Bounced);
}

/** Of two values about one recipient, the one that suppresses it for longer. */
export function chooseLonger(one: string, other: string): string {
  const [first, second] = [one, other].map((value) => decodeBounced(value)?.until ?? 0);
  return (second ?? 0) > (first ?? 0) ? other : one;
}

export function isSuppressed(value: string | undefined, now: number): boolean {
  const { until = null } = decodeBounced(value) ?? {};
  return until !== null && until > now;
}

/** Only the word of a next hop about this recipient counts, not a fault of this relay or of a name server. */
export function countsAsBounce({ kind, cause, status, isOfOthers }: MailEvent, { statuses }: Terms): boolean {
  const isOfRecipient = kind === 'bounced' && cause === 'reply' && !isOfOthers;
  return isOfRecipient && status !== null && statuses.some((one) => fits(one, status));
}

export function addBounce(
  before: Bounced | undefined,
  { at, status, text }: Pick<MailEvent, 'at' | 'status' | 'text'>,
  { seconds, bounces: enough }: Terms,
): Bounced {
  const ms = seconds * 1000;
  const bounces = before && !isOver(before, at, ms) ? before.bounces + 1 : 1;
  return {
    bounces,
    lastAt: at,
    until: bounces >= enough ? at + ms : null,
    status: status ?? '',
    text: cutText(text, TEXT_LENGTH),
  };
}

/** True if it says nothing any more. */
export function isOver({ until, lastAt }: Bounced, now: number, ms: number): boolean {
  return (until ?? lastAt + ms) <= now;
}

function fits(pattern: string, status: string): boolean {
  const given = status.split('.');
  return pattern.split('.').every((part, index) => part === '*' || part === given[index]);
}
