/**
 * What verdicts mean for a queued message: which recipients are left, and of which their sender is told. A null sender
 * is told nothing, so that no bounce ever answers a bounce (RFC 5321 section 6.1). Pure.
 */
import type { Verdict } from '../delivery/courier.ts';
import { type DsnRecipient, notifyWants, type ReportKind } from '../dsn/recipient.ts';
import type { QueueRecord, Recipient } from '../spool/record.ts';

export interface Settlement {
  readonly left: readonly Recipient[];
  readonly dsnRecipients: readonly DsnRecipient[];
  /** Recipients that are given up, and whose sender does not want to know or cannot be told. */
  readonly discarded: readonly Recipient[];
}

/** `verdicts` by address; recipients without one are left alone. */
export function applyVerdicts(
  { from, recipients }: QueueRecord,
  verdicts: ReadonlyMap<string, Verdict>,
  tellsSender: boolean,
): Settlement {
  const left: Recipient[] = [];
  const dsnRecipients: DsnRecipient[] = [];
  const discarded: Recipient[] = [];
  for (const recipient of recipients) {
    const verdict = recipient.state === 'queued' ? verdicts.get(recipient.address) : undefined;
    const wants = (kind: ReportKind) => from !== '' && notifyWants(recipient.notify, kind);
    if (verdict?.kind === 'delivered') {
      if (!tellsSender && wants('success-relayed'))
        dsnRecipients.push({ kind: 'success-relayed', recipient, reply: verdict.reply });
    } else if (!verdict?.failure.permanent) left.push(recipient);
    else if (wants('failure')) dsnRecipients.push({ kind: 'failure', recipient, failure: verdict.failure });
    else discarded.push(recipient);
  }
  return { left, dsnRecipients, discarded };
}
