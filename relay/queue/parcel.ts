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

type LoadedMessage = Loaded & { kind: 'message' };

export type Packed = { kind: 'parcel'; parcel: Parcel } | { kind: 'failed'; failure: Failure };

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
