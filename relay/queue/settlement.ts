/**
 * What the verdicts of a next hop mean for a message: which recipients are left, and of which their sender is told
 * (RFC 3461). A null sender is told nothing, so that no bounce ever answers a bounce. Pure.
 */

import type { Verdict } from '../delivery/verdict.ts';
import type { QueueRecord, Recipient } from '../spool/record.ts';

export type ReportKind = 'failure' | 'delay' | 'success-relayed';

/** The word of NOTIFY that asks for a report (RFC 3461 section 4.1). */
const ASKED_BY: Readonly<Record<ReportKind, string>> = {
  failure: 'FAILURE',
  delay: 'DELAY',
  'success-relayed': 'SUCCESS',
};

/** True where the sender of this recipient wants the report; without NOTIFY: failures and delays. */
export function notifyWants(notify: readonly string[] | undefined, kind: ReportKind): boolean {
  return notify === undefined ? kind !== 'success-relayed' : notify.includes(ASKED_BY[kind]);
}

/** A recipient of whom the sender is told, and what. */
export interface DsnRecipient {
  readonly kind: ReportKind;
  readonly recipient: Recipient;
  /** The reply of the next hop, or our own words with an enhanced status code. */
  readonly reason: string;
}

export interface Settled {
  readonly left: readonly Recipient[];
  readonly dsnRecipients: readonly DsnRecipient[];
  /** Recipients that are given up, and whose sender does not want to know or cannot be told. */
  readonly discarded: readonly Recipient[];
}

/** `verdicts` by address; recipients without one are left alone. */
export function settle(
  { from, recipients }: QueueRecord,
  verdicts: ReadonlyMap<string, Verdict>,
  tellsSender: boolean,
): Settled {
  const left: Recipient[] = [];
  const dsnRecipients: DsnRecipient[] = [];
  const discarded: Recipient[] = [];
  for (const recipient of recipients) {
    const verdict = recipient.state === 'queued' ? verdicts.get(recipient.address) : undefined;
    const told = (kind: ReportKind) => from !== '' && notifyWants(recipient.notify, kind);
    if (verdict === undefined || verdict.kind === 'deferred') left.push(recipient);
    else if (verdict.kind === 'refused' && !told('failure')) discarded.push(recipient);
    else if (verdict.kind === 'refused')
      dsnRecipients.push({ kind: 'failure', recipient, reason: verdict.reason });
    else if (!tellsSender && told('success-relayed'))
      dsnRecipients.push({ kind: 'success-relayed', recipient, reason: verdict.reply });
  }
  return { left, dsnRecipients, discarded };
}
