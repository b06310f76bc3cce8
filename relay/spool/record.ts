/**
 * One queued message as it lies in the store: envelope and progress, as checksummed JSON behind a format byte. A torn
 * or foreign entry decodes to `damaged`, never to mail. The body lies beside it (spool.ts).
 */
import { randomUUID } from 'node:crypto';
import { crc32 } from 'node:zlib';

const FORMAT = 1;
const HEADER_BYTES = 5;

export interface Recipient {
  readonly address: string;
  /** `held`: an earlier version set it aside, with the reason, where the next hop refused it; a person may release it. */
  readonly state: 'queued' | 'held';
  readonly reason?: string;
  /** What its sender wants to be told of it (RFC 3461 section 4.1); absent: not said. */
  readonly notify?: readonly string[];
  /** The address as the sender first had it, "rfc822;..." (RFC 3461 section 4.2). */
  readonly orcpt?: string;
  /** When it was put off last, in milliseconds since the epoch; absent: it was not. */
  readonly triedAt?: number;
}

export interface Envelope {
  /** Empty for the null sender of bounces. */
  readonly from: string;
  readonly recipients: readonly Recipient[];
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
  readonly smtpUtf8: boolean;
  readonly eightBit: boolean;
  /** How much of the message its sender wants back, and under which name (RFC 3461 section 4.3 and 4.4). */
  readonly ret?: 'FULL' | 'HDRS';
  readonly envid?: string;
  /** It came from somebody who may relay, or from us: our DKIM keys may sign it. */
  readonly ours?: boolean;
  /** Domains, and *.domains, that its client may send as: our keys sign for no other From. Absent: any. */
  readonly senderDomains?: readonly string[];
  /** A person holds it back: it is neither delivered nor returned. */
  readonly hold?: boolean;
  /** Its sender was told that it is late. */
  readonly warned?: boolean;
}

export interface QueueRecord extends Envelope {
  /** Bytes of the body, and its checksum; that of a file is zero where an earlier version wrote it. */
  readonly bytes: number;
  readonly crc: number;
  readonly body: 'store' | 'file';
}

export type Decoded = { kind: 'message'; record: QueueRecord } | { kind: 'damaged'; message: string };

export function encodeRecord(record: QueueRecord): Buffer {
  const json = Buffer.from(JSON.stringify(record));
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(FORMAT, 0);
  header.writeUInt32LE(crc32(json), 1);
  return Buffer.concat([header, json]);
}

export function decodeRecord(bytes: Buffer): Decoded {
  if (bytes.length <= HEADER_BYTES) return { kind: 'damaged', message: 'the entry is cut short' };
  if (bytes.readUInt8(0) !== FORMAT) {
    return {
      kind: 'damaged',
      message: `the entry has format ${bytes.readUInt8(0)}, this relay reads ${FORMAT}`,
    };
  }
  const json = bytes.subarray(HEADER_BYTES);
  if (crc32(json) !== bytes.readUInt32LE(1))
    return { kind: 'damaged', message: 'the checksum does not match' };
  return { kind: 'message', record: JSON.parse(json.toString()) as QueueRecord };
}

/** A queue id: sorts by time of arrival, unique, printable, 16 characters. */
export function newQueueId(nowMs: number): string {
  const time = oldestQueueId(nowMs);
  // Its random bytes come from a cache, which a call for five bytes does not have.
  const random = BigInt(`0x${randomUUID().slice(-10)}`)
    .toString(32)
    .padStart(8, '0')
    .slice(-7);
  return `${time}${random}`;
}

/** What queue ids of this time, in milliseconds since the epoch, begin with: all older ones are less. */
export function oldestQueueId(nowMs: number): string {
  return Math.max(0, nowMs).toString(32).padStart(9, '0');
}

/** Milliseconds since the epoch in a queue id. */
export function timeOfQueueId(id: string): number {
  return Number.parseInt(id.slice(0, 9), 32);
}
