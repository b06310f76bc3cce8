/**
 * A round asks for each recipient of a message that waits for the destination, in one transaction or in many: who is in the next one,
 * and what its answers mean for those after it. Pure.
 */
import type { AttemptResult, Verdict } from '../delivery/courier.ts';
import type { Recipient } from '../spool/record.ts';
import { isAccepted, type Sorted } from './settlement.ts';
import type { Order, Round } from './waiting.ts';

/** Next hops usually accept a hundred recipients in a transaction (RFC 5321 section 4.5.3.1.8). */
const RECIPIENTS_AT_ONCE = 100;

/** In the order of the message. */
export const NEW_ROUND: Round = { deferred: [], alone: [] };

/**
 * Chooses the next recipients: as many as may share a transaction, and after those, one by one, the recipients that go
 * alone. The late ones come behind the others, but as soon as they fill a transaction they have one: a hop that refuses the
 * first try of each recipient (greylisting) sees them again before it forgets them.
 */
export function chooseBatch(
  recipients: readonly Recipient[],
  round: Round = NEW_ROUND,
): { batch: Recipient[]; more: boolean } {
  const open = without(recipients, round.deferred);
  const first = chooseFirst(open, round);
  const together = without(first, round.alone);
  const batch =
    together.length > 0
      ? together.slice(0, Math.min(round.atOnce ?? RECIPIENTS_AT_ONCE, RECIPIENTS_AT_ONCE))
      : first.slice(0, 1);
  return { batch, more: batch.length < open.length };
}

function chooseFirst(open: readonly Recipient[], { late = [], last = [] }: Round): readonly Recipient[] {
  const known = new Set(late);
  const refused = open.filter(({ address }) => known.has(address));
  if (refused.length >= RECIPIENTS_AT_ONCE) return refused;
  const fresh = without(open, [...late, ...last]);
  return [fresh, refused].find(({ length }) => length > 0) ?? open;
}

/**
 * The order after an attempt with this batch. Whom a hop refused before it ended the session moves back: to the late ones, and
 * with the second refusal to the last ones. Whoever has had an answer of a session that did not end so goes back to his place,
 * and where only the last ones are left the order begins anew.
 */
export function moveBack(
  batch: readonly Recipient[],
  { kind, refused = [] }: Pick<AttemptResult, 'kind' | 'refused'>,
  { late = [], last = [] }: Order = {},
): Order {
  const addresses = batch.map(({ address }) => address);
  if (refused.length === 0) {
    const answered = new Set(kind === 'answered' ? addresses : []);
    const waits = (address: string) => !answered.has(address);
    return { late: late.filter(waits), last: last.filter(waits) };
  }
  const behind = new Set(last);
  if (addresses.every((address) => behind.has(address))) return { late: [...new Set(refused)], last: [] };
  const [before, now] = [new Set(late), new Set(refused)];
  const fresh = [...now].filter((address) => !before.has(address) && !behind.has(address));
  return {
    late: [...late.filter((address) => !now.has(address)), ...fresh],
    last: [...last, ...late.filter((address) => now.has(address))],
  };
}

/**
 * The round that begins in this order. Undefined: in the order of the message. What is known of the hop stays: one that ended the
 * session over too many recipients would end the next one alike.
 */
export function beginRound({
  late = [],
  last = [],
  atOnce,
}: Order & Pick<Round, 'atOnce'>): Round | undefined {
  if (late.length + last.length === 0 && atOnce === undefined) return undefined;
  return { ...NEW_ROUND, late, last, atOnce };
}

function without(recipients: readonly Recipient[], addresses: readonly string[]): readonly Recipient[] {
  if (addresses.length === 0) return recipients;
  const gone = new Set(addresses);
  return recipients.filter(({ address }) => !gone.has(address));
}

/**
 * How many go at once after all have had to wait. Where the hop put off the message, fewer are no help, and the others get that
 * answer together. Else the reason may be these recipients (a full mailbox), or the hop that takes nobody now: then few steps show it.
 */
function takeMore(verdicts: readonly Verdict[], atOnce: number | undefined): number | undefined {
  return atOnce === undefined || verdicts.some(isAccepted) ? undefined : atOnce * 2;
}

/** The state of the round after this batch. Undefined if no recipient waits. */
export function afterBatch(
  round: Round | undefined,
  batch: readonly Recipient[],
  { verdicts, again, atOnce: found }: Sorted,
): Round | undefined {
  if (!round && verdicts.every(({ kind }) => kind === 'delivered')) return undefined;
  const listAddresses = (isMeant: (index: number) => boolean) =>
    batch.flatMap(({ address }, index) => (isMeant(index) ? [address] : []));
  const isDeferred = (index: number) => {
    const verdict = verdicts[index];
    return verdict?.kind === 'failed' && !verdict.failure.permanent && !again[index];
  };
  const deferred = listAddresses(isDeferred);
  const atOnce =
    found ?? (deferred.length < batch.length ? round?.atOnce : takeMore(verdicts, round?.atOnce));
  const first = verdicts.find((_, index) => isDeferred(index));
  const failure = first?.kind === 'failed' ? first.failure : round?.failure;
  const next: Round = {
    deferred: [...(round?.deferred ?? []), ...deferred],
    alone: [...(round?.alone ?? []), ...listAddresses((index) => again[index] === 'alone')],
    ...(failure ? { failure } : {}),
    ...(atOnce === undefined ? {} : { atOnce }),
  };
  return next.deferred.length + next.alone.length > 0 || atOnce !== undefined ? next : undefined;
}
