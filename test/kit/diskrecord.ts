/** What diskshim.ts recorded, read back: each call that changed the state folder, in the one order in which they happened. */
import { CALLS, type Call, PROCESS_KINDS, type ProcessKind } from './diskshim.ts';

export interface DiskCall {
  /** Where its record begins and ends: points in the one order. */
  readonly at: number;
  readonly end: number;
  readonly call: Call;
  readonly by: ProcessKind;
  readonly pid: number;
  readonly isMainThread: boolean;
  /** Of an open: the file was not there before. */
  readonly created: boolean;
  /** errno; 0 where it succeeded. */
  readonly error: number;
  /** Among the calls of its kind of process. */
  readonly index: number;
  readonly inode: bigint;
  readonly offset: number;
  /** Of a write what was asked for, of a truncation what is left; undefined of an open that truncates nothing. */
  readonly length: number | undefined;
  /** Of `synced`: where its `sync` begins. */
  readonly begun: number;
  /** In the state folder; "." is itself. */
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
