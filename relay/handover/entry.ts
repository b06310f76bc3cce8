/**
 * A queue entry on its way from pod to pod: `PUT /queue/ID`. The body of the request is the length of the record, the
 * record as it is in the store, and the message. The record carries its own format and checksum, so two versions of the
 * relay understand each other or report that they do not. Pure.
 */
import { Buffer } from 'node:buffer';

const PATH = '/queue/';
/** The form that newQueueId makes. Nothing else may become a file name. */
const QUEUE_ID = /^[0-9a-v]{16}$/;
/** The number of recipients is limited, and so is the line of each. No record is larger. */
export const RECORD_AT_MOST = 32 * 2 ** 20;

/** The policies of MTA-STS of the giving pod: `PUT` with their text. They come before the entries. */
export const POLICIES_PATH = '/mta-sts';

/** How long an entry waits for the sibling that may have it. A pod starts again within this time; a node may not. */
export const UNANSWERED_MS = 10 * 60_000;

/** The status code for an entry that the sibling may have: an earlier offer is under way, or not known to be on disk. */
export const ON_ITS_WAY = 409;
/** The status code for what finds no room on the disk. */
export const NO_ROOM = 507;

export const HEADERS = { recordBytes: 'mailrelay-record-bytes', bodyBytes: 'mailrelay-body-bytes' } as const;

export function printEntryPath(id: string): string {
  return `${PATH}${id}`;
}

/** Undefined if the path is not the path of an entry. */
export function parseEntryPath(path: string | undefined): string | undefined {
  const id = path?.startsWith(PATH) ? path.slice(PATH.length) : '';
  return QUEUE_ID.test(id) ? id : undefined;
}

/** Splits the record from the start of a stream. The rest follows chunk by chunk. Throws if the stream ends early. */
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
