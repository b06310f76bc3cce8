/**
 * A queue entry on its way from pod to pod: `PUT /queue/ID`, whose body is the record as it lies in the store, behind
 * its length, and then the message. The record brings its own format and checksum, so that two versions of the relay
 * understand each other or say that they do not. Pure.
 */
import { Buffer } from 'node:buffer';

const PATH = '/queue/';
/** As newQueueId makes them: nothing else may become the name of a file. */
const QUEUE_ID = /^[0-9a-v]{16}$/;
/** Recipients are limited, and so is the line that names each: more than a record can have. */
export const RECORD_AT_MOST = 32 * 2 ** 20;

export const HEADERS = { recordBytes: 'mailrelay-record-bytes', bodyBytes: 'mailrelay-body-bytes' } as const;

export function pathOf(id: string): string {
  return `${PATH}${id}`;
}

/** Undefined where the path is not that of an entry. */
export function idOf(path: string | undefined): string | undefined {
  const id = path?.startsWith(PATH) ? path.slice(PATH.length) : '';
  return QUEUE_ID.test(id) ? id : undefined;
}

/** Splits the record off a stream that begins with it; the rest comes out chunk by chunk. Throws when it ends early. */
export async function splitRecord(
  source: AsyncIterable<Buffer>,
  recordBytes: number,
): Promise<{ record: Buffer; rest: AsyncIterable<Buffer> }> {
  const chunks = source[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < recordBytes) {
    const next = await chunks.next();
    if (next.done) throw new Error('the entry ended before its record did');
    head = Buffer.concat([head, next.value]);
  }
  const rest = async function* () {
    if (head.length > recordBytes) yield head.subarray(recordBytes);
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
  };
  return { record: head.subarray(0, recordBytes), rest: rest() };
}
