/** A recipient that a report is about, and whether the sender wants that report (RFC 3461, 3464). Pure. */
import type { Failure } from '#crds/failure.ts';
import type { Recipient } from '../spool/record.ts';

export type ReportKind = 'failure' | 'delay' | 'success-relayed';

export type DsnRecipient =
  | { readonly kind: 'failure'; readonly recipient: Recipient; readonly failure: Failure }
  | {
      readonly kind: 'delay';
      readonly recipient: Recipient;
      readonly failure: Failure;
      /** Milliseconds since the epoch. */
      readonly willRetryUntil: number;
    }
  /** `reply` is the reply of the next hop. */
  | { readonly kind: 'success-relayed'; readonly recipient: Recipient; readonly reply: string };

/** The NOTIFY keyword that asks for a report (RFC 3461 section 4.1). */
const ASKED_BY: Readonly<Record<ReportKind, string>> = {
  failure: 'FAILURE',
  delay: 'DELAY',
  'success-relayed': 'SUCCESS',
};

/** True if the sender wants this report for this recipient. Without NOTIFY: failures and delays. */
export function notifyWants(notify: readonly string[] | undefined, kind: ReportKind): boolean {
  return notify === undefined ? kind !== 'success-relayed' : notify.includes(ASKED_BY[kind]);
}
