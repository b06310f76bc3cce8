/**
 * What happened to a recipient of the queue, as a value for those who keep it or tell it to others. It is made where the
 * change is written (actions.ts). Pure.
 */
import { describeFailure, type FailureCause } from '#crds/failure.ts';
import type { Verdict } from '../delivery/courier.ts';
import type { QueueRecord, Recipient } from '../spool/record.ts';
import type { SpoolEvent } from '../spool/spool.ts';

/** expired: it waited too long. removed: by a person. */
export type MailEventKind = 'delivered' | 'deferred' | 'bounced' | 'expired' | 'removed';

export interface MailEvent {
  readonly kind: MailEventKind;
  /** The queue id of the message. */
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly to: string;
  /** The next hop that answered. null: none did. */
  readonly hop: string | null;
  /** null: it did not fail. */
  readonly cause: FailureCause | null;
  /** RFC 3463. null: nobody gave one. */
  readonly status: string | null;
  /** The reply of the next hop, or a sentence. */
  readonly text: string;
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
  { recipients }: QueueRecord,
  verdicts: ReadonlyMap<string, Verdict>,
  { id, at, hop, ends }: Attempt,
): MailEvent[] {
  return recipients.flatMap(({ state, address: to }): MailEvent[] => {
    const verdict = state === 'queued' ? verdicts.get(to) : undefined;
    if (!verdict) return [];
    if (verdict.kind === 'delivered')
      return [
        {
          kind: 'delivered',
          id,
          at,
          to,
          hop,
          cause: null,
          status: readStatus(verdict.reply),
          text: verdict.reply,
        },
      ];
    const { failure } = verdict;
    const kind = failure.permanent ? (ends ?? 'bounced') : 'deferred';
    return [
      { kind, id, at, to, hop, cause: failure.cause, status: failure.status, text: describeFailure(failure) },
    ];
  });
}

export function listRemoved(id: string, recipients: readonly Recipient[], at: number): MailEvent[] {
  return recipients.map(({ address: to }) => ({
    kind: 'removed',
    id,
    at,
    to,
    hop: null,
    cause: null,
    status: null,
    text: 'removed by a person',
  }));
}

function readStatus(reply: string): string | null {
  return /^\d{3}[ -](2\.\d{1,3}\.\d{1,3})(?: |$)/.exec(reply)?.[1] ?? null;
}
