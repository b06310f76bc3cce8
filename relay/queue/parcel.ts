/**
 * From a queued message to what a next hop is given: which recipients go together, what their sender wants to be told,
 * and the signatures in front. A message whose key cannot be used waits. The signer is an argument.
 */

import type { Failure } from '#crds/failure.ts';
import type { Parcel, RecipientWish } from '../delivery/courier.ts';
import type { Signer } from '../dkim/signer.ts';
import { beyondAscii } from '../headers/beyondascii.ts';
import type { Recipient } from '../spool/record.ts';
import type { Loaded } from '../spool/spool.ts';

/** Next hops commonly take a hundred recipients at once (RFC 5321 section 4.5.3.1.8). */
const RECIPIENTS_AT_ONCE = 100;

type LoadedMessage = Loaded & { kind: 'message' };

export type Packed = { kind: 'parcel'; parcel: Parcel } | { kind: 'failed'; failure: Failure };

/** The first recipients, as many as may share a transaction. */
export function batchFor(recipients: readonly Recipient[]): { batch: Recipient[]; more: boolean } {
  const batch = recipients.slice(0, RECIPIENTS_AT_ONCE);
  return { batch, more: batch.length < recipients.length };
}

export async function parcelOf(
  message: LoadedMessage,
  batch: readonly Recipient[],
  sign: Signer,
): Promise<Packed> {
  const { record } = message;
  const signed = await sign(message);
  if (signed.kind === 'failed') return signed;
  const { from, bytes, eightBit, smtpUtf8, ret = null, envid = null } = record;
  const { header } = signed;
  const parcel: Parcel = {
    from,
    to: batch.map(({ address }) => address),
    bytes: bytes + (header?.length ?? 0),
    eightBit,
    smtpUtf8,
    dsn: { ret, envid, recipients: batch.map(wishOf) },
    beyondAscii: () => beyondAscii(message.open()),
    body: header ? () => behind(header, message.pieces()) : message.pieces,
  };
  return { kind: 'parcel', parcel };
}

function wishOf({ notify, orcpt }: Recipient): RecipientWish {
  return { notify: notify ?? null, orcpt: orcpt ?? null };
}

function behind(header: Buffer, body: Buffer | AsyncIterable<Buffer>): Buffer | AsyncIterable<Buffer> {
  return Buffer.isBuffer(body) ? Buffer.concat([header, body]) : prefixed(header, body);
}

async function* prefixed(header: Buffer, body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield header;
  yield* body;
}
