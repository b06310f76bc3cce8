/**
 * Makes the parcel for a next hop from a queued message: the recipients of one transaction, the DSN wishes of the
 * sender, and the signatures before the message. A message whose key cannot be used waits. The signer is an argument.
 */

import type { Failure } from '#crds/failure.ts';
import type { Parcel, RecipientWish } from '../delivery/courier.ts';
import type { Signer } from '../dkim/signer.ts';
import { beyondAscii } from '../headers/beyondascii.ts';
import { saysTlsNotRequired } from '../headers/tlsrequired.ts';
import type { Recipient } from '../spool/record.ts';
import type { Loaded } from '../spool/spool.ts';
import type { Round } from './waiting.ts';

/** Next hops usually accept a hundred recipients in a transaction (RFC 5321 section 4.5.3.1.8). */
const RECIPIENTS_AT_ONCE = 100;

type LoadedMessage = Loaded & { kind: 'message' };

export type Packed = { kind: 'parcel'; parcel: Parcel } | { kind: 'failed'; failure: Failure };

/**
 * Chooses the next recipients: as many as may share a transaction, and after those, one by one, the recipients that go
 * alone. The late ones come last.
 */
export function chooseBatch(
  recipients: readonly Recipient[],
  round: Round | undefined,
): { batch: Recipient[]; more: boolean } {
  const open = round ? recipients.filter(({ address }) => !round.deferred.includes(address)) : recipients;
  const early = round?.late ? open.filter(({ address }) => !round.late?.includes(address)) : open;
  const first = early.length > 0 ? early : open;
  const together = round ? first.filter(({ address }) => !round.alone.includes(address)) : first;
  const batch = together.length > 0 ? together.slice(0, RECIPIENTS_AT_ONCE) : first.slice(0, 1);
  return { batch, more: batch.length < open.length };
}

/** The round that begins with the recipients that no attempt has reached. Where all have had their turn it begins anew. */
export function beginLate(
  batch: readonly Recipient[],
  refused: readonly string[],
  before: Round | undefined,
): Round | undefined {
  const known = before?.late ?? [];
  const isNew = batch.every(({ address }) => known.includes(address));
  const late = [...new Set([...(isNew ? [] : known), ...refused])];
  return late.length > 0 ? { deferred: [], alone: [], late } : undefined;
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
