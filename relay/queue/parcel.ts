/**
 * Makes the parcel for a next hop from a queued message: the recipients of one transaction, the DSN wishes of the
 * sender, and the signatures before the message. A message whose key cannot be used waits. The signer is an argument.
 */

import type { Failure } from '#crds/failure.ts';
import type { AttemptResult, Parcel, RecipientWish } from '../delivery/courier.ts';
import type { Signer } from '../dkim/signer.ts';
import { beyondAscii } from '../headers/beyondascii.ts';
import { saysTlsNotRequired } from '../headers/tlsrequired.ts';
import type { Recipient } from '../spool/record.ts';
import type { Loaded } from '../spool/spool.ts';
import type { Order, Round } from './waiting.ts';

/** Next hops usually accept a hundred recipients in a transaction (RFC 5321 section 4.5.3.1.8). */
const RECIPIENTS_AT_ONCE = 100;

/** In the order of the message. */
export const NEW_ROUND: Round = { deferred: [], alone: [] };

type LoadedMessage = Loaded & { kind: 'message' };

export type Packed = { kind: 'parcel'; parcel: Parcel } | { kind: 'failed'; failure: Failure };

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
    together.length > 0 ? together.slice(0, round.atOnce ?? RECIPIENTS_AT_ONCE) : first.slice(0, 1);
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

/** The round that begins in this order. Undefined: in the order of the message. */
export function beginRound({ late = [], last = [] }: Order): Round | undefined {
  return late.length + last.length > 0 ? { ...NEW_ROUND, late, last } : undefined;
}

function without(recipients: readonly Recipient[], addresses: readonly string[]): readonly Recipient[] {
  if (addresses.length === 0) return recipients;
  const gone = new Set(addresses);
  return recipients.filter(({ address }) => !gone.has(address));
}

export async function packParcel(
  message: LoadedMessage,
  batch: readonly Recipient[],
  sign: Signer,
): Promise<Packed> {
  const { record } = message;
  const signed = await sign(message);
  if (signed.kind === 'failed') return signed;
  const { from, bytes, eightBit, smtpUtf8, requireTls = false, ret = null, envid = null } = record;
  const { header } = signed;
  const parcel: Parcel = {
    from,
    to: batch.map(({ address }) => address),
    bytes: bytes + (header?.length ?? 0),
    eightBit,
    smtpUtf8,
    requireTls,
    saysTlsNotRequired: () => saysTlsNotRequired(message.pieces()),
    dsn: { ret, envid, recipients: batch.map(readWish) },
    isTlsReport: record.tlsReport ?? false,
    beyondAscii: () => beyondAscii(message.open()),
    body: header ? () => behind(header, message.pieces()) : message.pieces,
  };
  return { kind: 'parcel', parcel };
}

function readWish({ notify, orcpt }: Recipient): RecipientWish {
  return { notify: notify ?? null, orcpt: orcpt ?? null };
}

function behind(header: Buffer, body: Buffer | AsyncIterable<Buffer>): Buffer | AsyncIterable<Buffer> {
  return Buffer.isBuffer(body) ? Buffer.concat([header, body]) : prefixed(header, body);
}

async function* prefixed(header: Buffer, body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield header;
  yield* body;
}
