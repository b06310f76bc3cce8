/** A message that enters the tables of the store, and leaves them. */
import { crc32 } from 'node:zlib';
import type { SealedBody } from './body.ts';
import { type Envelope, encodeRecord, type QueueRecord } from './record.ts';
import type { Tables } from './tables.ts';

export interface NewMessage {
  readonly id: string;
  readonly envelope: Envelope;
  readonly body: SealedBody;
}

/** Call this only inside a write. */
export function put({ bodies, records }: Tables, { id, envelope, body }: NewMessage): void {
  const inline = body.kind === 'inline' ? body.bytes : undefined;
  const record: QueueRecord = {
    ...envelope,
    bytes: body.kind === 'inline' ? body.bytes.length : body.bytes,
    crc: body.kind === 'inline' ? crc32(body.bytes) : body.crc,
    body: inline ? 'store' : 'file',
  };
  if (inline) bodies.put(id, inline);
  records.put(id, encodeRecord(record));
}

/** Call this only inside a write. */
export function remove({ bodies, records }: Tables, id: string): void {
  bodies.remove(id);
  records.remove(id);
}
