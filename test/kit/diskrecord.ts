/**
 * Reads the record of diskshim.ts: every call that changed the state folder, in the order in which the calls happened.
 */
import { CALLS, type Call, PROCESS_KINDS, type ProcessKind } from './diskshim.ts';

export interface DiskCall {
  /** The points in the order of all calls at which the record of this call begins and ends. */
  readonly at: number;
  readonly end: number;
  readonly call: Call;
  readonly by: ProcessKind;
  readonly pid: number;
  readonly isMainThread: boolean;
  /** For an open: true if the file did not exist before. */
  readonly created: boolean;
  /** errno; 0 if the call succeeded. */
  readonly error: number;
  /** The number of the call among the calls of its kind of process. */
  readonly index: number;
  readonly inode: bigint;
  readonly offset: number;
  /**
   * For a write the requested length, for a truncation the remaining length; undefined for an open that does not
   * truncate.
   */
  readonly length: number | undefined;
  /** For `synced`: the begin of its `sync`. */
  readonly begun: number;
  /** A name in the state folder; "." is the folder itself. */
  readonly name: string;
  readonly other: string;
  readonly data: Buffer;
}

const HEAD_BYTES = 64;
const NOTHING = 2n ** 64n - 1n;

export function readCalls(recorded: Buffer, from = 0): DiskCall[] {
  const calls: DiskCall[] = [];
  for (let at = 0; at + HEAD_BYTES <= recorded.length; ) {
    const bytes = recorded.readUInt32LE(at);
    if (at + bytes > recorded.length) break;
    calls.push(callOf(recorded.subarray(at, at + bytes), from + at));
    at += bytes;
  }
  return calls;
}

function callOf(record: Buffer, at: number): DiskCall {
  const length = record.readBigUInt64LE(40);
  const nameEnd = HEAD_BYTES + record.readUInt16LE(56);
  const otherEnd = nameEnd + record.readUInt16LE(58);
  return {
    at,
    end: at + record.length,
    call: (CALLS[record.readUInt8(4)] || 'open') as Call,
    by: PROCESS_KINDS[record.readUInt8(5) - 1] ?? 'supervisor',
    isMainThread: record.readUInt8(6) === 1,
    created: record.readUInt8(7) === 1,
    pid: record.readUInt32LE(8),
    error: record.readInt32LE(12),
    index: Number(record.readBigUInt64LE(16)),
    inode: record.readBigUInt64LE(24),
    offset: Number(record.readBigUInt64LE(32)),
    length: length === NOTHING ? undefined : Number(length),
    begun: Number(record.readBigUInt64LE(48)),
    name: record.toString('utf8', HEAD_BYTES, nameEnd),
    other: record.toString('utf8', nameEnd, otherEnd),
    data: record.subarray(otherEnd),
  };
}
