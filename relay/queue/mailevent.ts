/**
 * What happened to a recipient of the queue, as a value for those who keep it or tell it to others. It is made where the
 * change is written (actions.ts). Pure.
 */
import { describeFailure, type FailureCause, MESSAGE_FOR_ONE } from '#crds/failure.ts';
import type { Complaint, Verdict } from '../delivery/courier.ts';
import type { QueueRecord, Recipient } from '../spool/record.ts';
import type { SpoolEvent } from '../spool/spool.ts';

/** expired: it waited too long. removed: by a person. discarded: the recipient is suppressed. */
export type MailEventKind = 'delivered' | 'deferred' | 'bounced' | 'expired' | 'removed' | 'discarded';

export interface MailEvent {
  readonly kind: MailEventKind;
  /** The queue id of the message. */
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly to: string;
  /** The addresses that the client gave, if they became `to`. */
  readonly given?: readonly string[];
  /** The next hop that answered. null: none did. */
  readonly hop: string | null;
  /** null: it did not fail. */
  readonly cause: FailureCause | null;
  /** RFC 3463. null: nobody gave one. */
  readonly status: string | null;
  /** The reply of the next hop, or a sentence. */
  readonly text: string;
  /** The next hop refused the sender, or a message for several recipients: that says nothing of this recipient. */
  readonly isOfOthers?: true;
  /** The mail was a complaint about another one. */
  readonly complaint?: Complaint;
}

/** Learns what becomes of the mail of the queue. It must not throw, and nothing waits for it. */
export interface MailRecorder {
  /** The queue has this message: told again after each start. */
  queued(id: string, record: QueueRecord): void;
  /** What is written together with these changes, so that a crash loses either both or none. */
  readonly encode?: (record: QueueRecord, events: readonly MailEvent[]) => readonly SpoolEvent[];
  /** These changes are written. */
  happened(events: readonly MailEvent[]): void;
}

interface Attempt {
  readonly id: string;
  readonly at: number;
  readonly hop: string | null;
  /** Why the recipients are given up, if the next hop did not refuse them. */
  readonly ends?: 'expired';
}

/** One event for each recipient that waits and has a verdict. */
export function listVerdicts(
  { recipients }: Pick<QueueRecord, 'recipients'>,
  verdicts: ReadonlyMap<string, Verdict>,
  { id, at, hop, ends }: Attempt,
): MailEvent[] {
  const readers = [...verdicts.values()].filter(isOfMessage).length;
  return recipients.flatMap((recipient): MailEvent[] => {
    const verdict = recipient.state === 'queued' ? verdicts.get(recipient.address) : undefined;
    if (!verdict) return [];
    const about = { id, at, hop, ...name(recipient) };
    if (verdict.kind === 'delivered') {
      const { reply, complaint } = verdict;
      const more = complaint ? { complaint } : {};
      return [{ ...about, kind: 'delivered', cause: null, status: readStatus(reply), text: reply, ...more }];
    }
    const { failure } = verdict;
    const { cause, status, command = 'RCPT TO' } = failure;
    const kind = failure.permanent ? (ends ?? 'bounced') : 'deferred';
    const isForOne = command.startsWith('RCPT') || command === MESSAGE_FOR_ONE;
    const isOwn = isForOne || (isOfMessage(verdict) && readers === 1);
    const more = isOwn ? {} : { isOfOthers: true as const };
    return [{ ...about, kind, cause, status, text: describeFailure(failure), ...more }];
  });
}

/** The next hop took the recipient, and answered the message. */
function isOfMessage(verdict: Verdict): boolean {
  return verdict.kind === 'delivered' || verdict.failure.command === 'DATA';
}

export function listRemoved(id: string, recipients: readonly Recipient[], at: number): MailEvent[] {
  const text = 'removed by a person';
  return recipients.map((one) => ({ ...NO_ANSWER, ...name(one), kind: 'removed', id, at, text }));
}

/** The recipients for whom the mail goes nowhere. */
export function listDiscarded(
  id: string,
  { discarded = [], receivedAt }: Pick<QueueRecord, 'discarded' | 'receivedAt'>,
): MailEvent[] {
  const text = 'the recipient is suppressed (queue.suppression)';
  return discarded.map((one) => ({
    ...NO_ANSWER,
    ...name(one),
    kind: 'discarded',
    id,
    at: receivedAt,
    text,
  }));
}

const NO_ANSWER = { hop: null, cause: null, status: null } as const;

function name({ address: to, given }: Pick<Recipient, 'address' | 'given'>): Pick<MailEvent, 'to' | 'given'> {
  return given ? { to, given } : { to };
}

function readStatus(reply: string): string | null {
  return /^\d{3}[ -](2\.\d{1,3}\.\d{1,3})(?: |$)/.exec(reply)?.[1] ?? null;
}
