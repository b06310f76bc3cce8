/**
 * Applies verdicts to a queued message: which recipients are left, and which of them are reported to the sender. A null
 * sender gets no report, so a bounce never answers a bounce (RFC 5321 section 6.1). Pure.
 */
import { crc32 } from 'node:zlib';
import { cutBytes } from '#crds/cut.ts';
import { bothTexts, describeFailure, describeForSender, type Failure, isTooMany } from '#crds/failure.ts';
import type { Retry } from '#crds/policyfile.ts';
import type { Destination, Verdict } from '../delivery/courier.ts';
import { type DsnRecipient, notifyWants, type ReportKind } from '../dsn/recipient.ts';
import type { QueueRecord, Recipient } from '../spool/record.ts';

export interface Settlement {
  readonly left: readonly Recipient[];
  readonly dsnRecipients: readonly DsnRecipient[];
  /** Recipients that are dropped without a report, because the sender does not want one or cannot get one. */
  readonly discarded: readonly Recipient[];
}

/** Where an attempt went. */
export interface AttemptTarget {
  readonly destination: Pick<Destination, 'key' | 'pacing'>;
  /** The provider. */
  readonly shared: { readonly name: string; readonly retry: Retry | null } | undefined;
}

export interface AttemptFacts {
  readonly tellsSender: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly target: AttemptTarget;
  /** True if the destination gave no session. */
  readonly isAway: boolean;
}

/** A record has very many recipients at most. */
const SAID_BYTES = 500;

/** Without an answer of the name server the provider of the attempt before still says when the mail expires. */
function markTried(
  { away: _, said: __, provider: before, ...recipient }: Recipient,
  { status, reply }: Failure,
  { now, target, isAway }: Omit<AttemptFacts, 'tellsSender'>,
): Recipient {
  const triedTo = digestDestination(target.destination);
  const provider = target.shared ? (target.shared.retry ? target.shared.name : undefined) : before;
  return {
    ...recipient,
    triedAt: now,
    triedTo,
    ...(provider === undefined ? {} : { provider }),
    ...(isAway ? { away: true } : {}),
    ...(reply ? { said: { at: now, status, code: reply.code, line: cutBytes(reply.line, SAID_BYTES) } } : {}),
  };
}

/**
 * Why a recipient waits for this destination. `failure`: of its message or of its destination. A reply is told to nobody but
 * the recipients that got it: others would be told of the wrong address. It counts as long as it is the last attempt's: mail
 * may go elsewhere now, and an earlier version leaves the reply in the record when it tries again.
 */
export function findReason(
  { said, triedAt, triedTo }: Recipient,
  destination: AttemptTarget['destination'],
  failure: Failure | undefined,
): Failure | undefined {
  if (failure && !failure.reply) return failure;
  if (!said || said.at !== triedAt || triedTo !== digestDestination(destination)) return undefined;
  const { at: _, status, ...reply } = said;
  return { permanent: false, cause: 'reply', status, text: reply.line, reply };
}

/** A recipient that was never tried, and that no earlier version set aside. */
export function forgetAttempts(tried: Recipient): Recipient {
  const {
    reason: _,
    triedAt: __,
    triedTo: ___,
    provider: ____,
    away: _____,
    said: ______,
    ...recipient
  } = tried;
  return { ...recipient, state: 'queued' };
}

/** The last failure, which is now final. */
export function makeExpired(last: Failure): Verdict {
  const tell = (reason: string) => `Delivery time expired; last reason: ${reason}`;
  const texts = bothTexts(tell(describeFailure(last)), tell(describeForSender(last)));
  const { text: _, forSender: __, ...facts } = last;
  return { kind: 'failed', failure: { ...facts, permanent: true, status: '5.4.7', ...texts } };
}

/** Short, because each deferred recipient of the queue has one. */
export function digestDestination({ key, pacing = '' }: AttemptTarget['destination']): string {
  return crc32(key.slice(0, key.length - pacing.length)).toString(36);
}

/** `verdicts` by address, from an attempt at the time `now`. Recipients without a verdict stay unchanged. */
export function applyVerdicts(
  { from, recipients }: QueueRecord,
  verdicts: ReadonlyMap<string, Verdict>,
  { tellsSender, ...attempt }: AttemptFacts,
): Settlement {
  const left: Recipient[] = [];
  const dsnRecipients: DsnRecipient[] = [];
  const discarded: Recipient[] = [];
  for (const recipient of recipients) {
    const verdict = recipient.state === 'queued' ? verdicts.get(recipient.address) : undefined;
    const wants = (kind: ReportKind) => from !== '' && notifyWants(recipient.notify, kind);
    if (!verdict) left.push(recipient);
    else if (verdict.kind === 'delivered') {
      if (!tellsSender && wants('success-relayed'))
        dsnRecipients.push({ kind: 'success-relayed', recipient, reply: verdict.reply });
    } else if (!verdict.failure.permanent) left.push(markTried(recipient, verdict.failure, attempt));
    else if (wants('failure')) dsnRecipients.push({ kind: 'failure', recipient, failure: verdict.failure });
    else discarded.push(recipient);
  }
  return { left, dsnRecipients, discarded };
}

export interface Sorted {
  readonly verdicts: readonly Verdict[];
  /** For each recipient that was refused because of the others: how it is tried again at once. */
  readonly again: readonly (Again | undefined)[];
  /** How many recipients the hop accepts in a transaction. Absent: as many as it was asked for. */
  readonly atOnce?: number | undefined;
}

/** In a transaction of its own, or in the next one together with others. */
type Again = 'alone' | 'together';

/** Recipients beyond what the hop takes at once. Alone in a transaction, a refusal for good is final. */
export function sortTooMany(verdicts: readonly Verdict[]): Sorted {
  if (verdicts.length === 1) return { verdicts, again: [undefined] };
  const isTaken = verdicts.some(({ kind }) => kind === 'delivered');
  const isRefused = isForTheirNumber(verdicts);
  const again = verdicts.map((verdict, index) => {
    const isAfterAccepted = verdicts.slice(0, index).some(isAccepted);
    return findAgain(verdict, { isAfterAccepted, isTaken, isRefused });
  });
  const isLimited = again.includes('together');
  return {
    again,
    verdicts: verdicts.map((verdict, index) => (again[index] ? waiting(verdict) : verdict)),
    ...(isLimited ? { atOnce: verdicts.filter(isAccepted).length } : {}),
  };
}

/**
 * A hop that refuses for good whom it has no room for may refuse the message of all for that reason (recipients_max_reject of
 * Exim). The next transaction has fewer recipients, so this comes to an end.
 */
function isForTheirNumber(verdicts: readonly Verdict[]): boolean {
  const failures = verdicts.flatMap((verdict) => (verdict.kind === 'failed' ? [verdict.failure] : []));
  const isOfMessage = ({ command, permanent }: Failure) => command === 'DATA' && permanent;
  const first = failures.findIndex(isOfMessage);
  if (first === -1 || failures.length < verdicts.length) return false;
  return failures.slice(first).some((one) => one.permanent && !isOfMessage(one) && isTooMany(one, true));
}

/**
 * Each transaction with several of them must have brought the message to somebody, or be larger than the next one, and the hop may
 * not want less mail: else the next one would end alike. One that is refused for good must not come back unasked.
 */
function findAgain(
  verdict: Verdict,
  {
    isAfterAccepted,
    isTaken,
    isRefused,
  }: Readonly<Record<'isAfterAccepted' | 'isTaken' | 'isRefused', boolean>>,
): Again | undefined {
  if (verdict.kind === 'delivered') return undefined;
  if (isAccepted(verdict)) return isRefused ? 'together' : undefined;
  const { failure } = verdict;
  if (!isTooMany(failure, isAfterAccepted)) return undefined;
  if ((isTaken || isRefused) && isAfterAccepted && !failure.slowDown) return 'together';
  return failure.permanent ? 'alone' : undefined;
}

/** The hop accepted this RCPT, whatever the result of the message. */
export function isAccepted(verdict: Verdict): boolean {
  return verdict.kind === 'delivered' || !verdict.failure.command?.startsWith('RCPT');
}

function waiting(verdict: Verdict): Verdict {
  return verdict.kind === 'delivered'
    ? verdict
    : { kind: 'failed', failure: { ...verdict.failure, permanent: false } };
}
