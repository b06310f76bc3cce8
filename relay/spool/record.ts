/**
 * One queued message in the store: envelope and progress, as checksummed JSON after a format byte. A torn or foreign
 * entry decodes to `damaged` and never to a message. The body is stored apart (spool.ts).
 */
import { crc32 } from 'node:zlib';

const FORMAT = 1;
const HEADER_BYTES = 5;
/** The milliseconds in the last four digits of the time of a queue id, which is in base 32. */
const LOW_MS = 32 ** 4;

export interface Recipient {
  readonly address: string;
  /**
   * `held`: an earlier version set the recipient aside, with the reason, because the next hop refused it. A person may
   * release it.
   */
  readonly state: 'queued' | 'held';
  readonly reason?: string;
  /** The NOTIFY parameter of the sender (RFC 3461 section 4.1). Absent: not set. */
  readonly notify?: readonly string[];
  /** The original address, "rfc822;..." (RFC 3461 section 4.2). */
  readonly orcpt?: string;
  /** The addresses that the client gave, if they became this one. Only if somebody keeps them. */
  readonly given?: readonly string[];
  /** When the recipient was last deferred, in milliseconds since the epoch. Absent: never. */
  readonly triedAt?: number;
  /** The destination of that attempt, as a digest of its key: another destination owes no pause. */
  readonly triedTo?: string;
  /** The provider of that attempt, if the policy gives it a retry schedule: after a restart it is not looked up first. */
  readonly provider?: string;
  /** The answer of the next hop in the attempt at this time. */
  readonly said?: {
    readonly at: number;
    readonly status: string;
    readonly code: number;
    readonly line: string;
  };
  /** That attempt got no session: the pause is that of the destination, not that of the message. */
  readonly away?: boolean;
}

/** What the relay has verified of a message of others, for the ARC set that it adds (RFC 8617). */
export interface ArcFacts {
  /** The ARC chain that the message brought. */
  readonly chain: 'none' | 'pass';
  /** The content of our Authentication-Results field. */
  readonly results: string;
}

export interface Envelope {
  /** Empty for the null sender of bounces. */
  readonly from: string;
  readonly recipients: readonly Recipient[];
  /** Reports go there: the sender before SRS signed it. Absent: to the sender. */
  readonly reportsTo?: string;
  /** The sender as the client gave it, if it was another one. Only if somebody keeps it. */
  readonly givenFrom?: string;
  /** They are suppressed, and the client was not told. Only if somebody keeps them. */
  readonly discarded?: readonly Pick<Recipient, 'address' | 'given'>[];
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
  readonly smtpUtf8: boolean;
  readonly eightBit: boolean;
  /** The sender gave REQUIRETLS (RFC 8689). */
  readonly requireTls?: boolean;
  /** The RET and ENVID parameters (RFC 3461 section 4.3 and 4.4). */
  readonly ret?: 'FULL' | 'HDRS';
  readonly envid?: string;
  /** The message came from an authorized client or from the relay itself, so our DKIM keys may sign it. */
  readonly ours?: boolean;
  /**
   * Domains, and *.domains, that the client may send as. Our keys sign for no other From domain. Absent: any domain.
   */
  readonly senderDomains?: readonly string[];
  /** Absent: the message is not sealed. */
  readonly arc?: ArcFacts;
  /** A TLS report of this relay: its own delivery is not counted for reports. */
  readonly tlsReport?: boolean;
  /** Without its brackets. Only if somebody keeps it. */
  readonly messageId?: string;
  /** A person or the content filter holds the message: it is neither delivered nor returned. */
  readonly hold?: boolean;
  /** The sender got a delay warning. */
  readonly warned?: boolean;
}

export interface QueueRecord extends Envelope {
  /** Length and checksum of the body. The checksum of a body file is zero if an earlier version wrote it. */
  readonly bytes: number;
  readonly crc: number;
  readonly body: 'store' | 'file';
}

export type Decoded = { kind: 'message'; record: QueueRecord } | { kind: 'damaged'; message: string };

export function encodeRecord(record: QueueRecord): Buffer {
  const json = JSON.stringify(record);
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + Buffer.byteLength(json));
  bytes.write(json, HEADER_BYTES);
  bytes.writeUInt8(FORMAT, 0);
  bytes.writeUInt32LE(crc32(bytes.subarray(HEADER_BYTES)), 1);
  return bytes;
}

export function decodeRecord(bytes: Buffer): Decoded {
  if (bytes.length <= HEADER_BYTES) return { kind: 'damaged', message: 'the entry is cut short' };
  if (bytes.readUInt8(0) !== FORMAT) {
    return {
      kind: 'damaged',
      message: `the entry has format ${bytes.readUInt8(0)}, this relay reads ${FORMAT}`,
    };
  }
  if (!isWholeRecord(bytes)) return { kind: 'damaged', message: 'the checksum does not match' };
  return { kind: 'message', record: JSON.parse(bytes.toString('utf8', HEADER_BYTES)) as QueueRecord };
}

/** True for a record of any format, also of a later one. A body is none, whatever its first bytes are. */
export function isWholeRecord(bytes: Buffer): boolean {
  return bytes.length > HEADER_BYTES && crc32(bytes.subarray(HEADER_BYTES)) === bytes.readUInt32LE(1);
}

/** A queue id: 16 printable characters, unique, and sorted by time of arrival. */
export function newQueueId(nowMs: number): string {
  return `${oldestQueueId(nowMs)}${printRandom(3)}${printRandom(4)}`;
}

/** No id is a secret, and each process has a random seed. */
function printRandom(digits: number): string {
  return printDigits(Math.floor(Math.random() * 32 ** digits), digits);
}

/** Whole numbers below 2 ** 31 are printed several times as fast as others. */
function printDigits(value: number, digits: number): string {
  return value.toString(32).padStart(digits, '0');
}

export function isQueueId(text: string): boolean {
  return /^[0-9a-v]{16}$/.test(text);
}

/** The prefix of queue ids of this time, in milliseconds since the epoch. All older ids sort before it. */
export function oldestQueueId(nowMs: number): string {
  const ms = Math.max(0, nowMs);
  return printDigits(Math.floor(ms / LOW_MS), 5) + printDigits(ms % LOW_MS, 4);
}

/** The time in a queue id, in milliseconds since the epoch. */
export function timeOfQueueId(id: string): number {
  return Number.parseInt(id.slice(0, 9), 32);
}
