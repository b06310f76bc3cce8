/**
 * Reads SQLite's write-ahead log (https://sqlite.org/fileformat2.html#walformat), and cuts off what is no part of it. The
 * checksum of a frame covers all frames before it, so SQLite stops at the first broken frame. But each frame can also be
 * checked from the frame before it alone. A whole frame behind a broken one was written, and may have been acknowledged,
 * if the last frame of its transaction is whole too: that one is written last. Without it the transaction never was in
 * force. It may have failed, and a shorter one that was written over it looks like a broken frame.
 */
import { closeSync, existsSync, fdatasyncSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { reportProgress } from './diskpulse.ts';
import { isDiskError } from './files.ts';
import { PAGE_BYTES } from './sqlitefile.ts';

export const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES;
/**
 * With this magic number the checksums use little-endian words, as this machine does. With the other one they use
 * big-endian words.
 */
const LITTLE_ENDIAN = 0x377f0682;

/** The place in the log of the newest image of each page. */
type Images = Map<number, number>;

export interface LogContents {
  /** The frames that SQLite uses: all up to the last transaction before a broken frame. */
  readonly taken: ReadonlyMap<number, number>;
  /** The whole frames of the transactions behind them. A broken header leaves all of them here. */
  readonly behind: ReadonlyMap<number, number>;
  /**
   * Where the frames that SQLite uses end: behind the header if it uses none. Undefined if the header is broken, or if the disk
   * could not read what follows the frames.
   */
  readonly end: number | undefined;
}

export function readLog(log: number): LogContents {
  const [taken, behind]: [Images, Images] = [new Map(), new Map()];
  const header = readAt(log, 0, HEADER_BYTES);
  let isBroken = !header || !isHeaderWhole(header);
  let end = isBroken ? undefined : HEADER_BYTES;
  let salt = isBroken ? undefined : header?.subarray(16, 24);
  let before = header && sumAt(header, HEADER_BYTES - 8);
  let open: Images = new Map();
  const { size } = fstatSync(log);
  for (let at = HEADER_BYTES; at + FRAME_BYTES <= size; at += FRAME_BYTES) {
    const frame = readAt(log, at, FRAME_BYTES);
    // Behind the end lie frames of an older log, with another salt. Without a header, the first whole frame tells ours.
    const isOurs = frame && (salt ?? frame.subarray(8, 16)).equals(frame.subarray(8, 16));
    const isWhole = isOurs && before && isFrameWhole(frame, before);
    if (isWhole) salt ??= frame.subarray(8, 16);
    if (!frame && !isBroken) end = undefined;
    before = frame ? sumAt(frame, 16) : before;
    isBroken ||= !isWhole;
    if (!isWhole) continue;
    open.set(frame.readUInt32BE(0), at + FRAME_HEADER_BYTES);
    if (!isLastOfTransaction(frame)) continue;
    for (const [page, place] of open) (isBroken ? behind : taken).set(page, place);
    open = new Map();
    if (!isBroken) end = at + FRAME_BYTES;
  }
  return { taken, behind, end };
}

/** Where so many frames end. */
export function endOfFrames(frames: number, pageBytes: number): number {
  return HEADER_BYTES + frames * (FRAME_HEADER_BYTES + pageBytes);
}

/** Behind the end of a log that began anew lie frames of the one before it, with another salt. They mean nothing. */
export function hasFrameAt(log: number, at: number): boolean {
  const [header, frame] = [readAt(log, 0, HEADER_BYTES), readAt(log, at, FRAME_HEADER_BYTES)];
  return header !== undefined && frame?.subarray(8, 16).equals(header.subarray(16, 24)) === true;
}

/**
 * On disk when it returns. By its own handle, which takes the report of an error from no other. SQLite itself cuts the log
 * while others have it open. No process may write into it meanwhile.
 */
export function cutLog(path: string, endOf: (log: number) => number | undefined): void {
  if (!existsSync(path)) return;
  const log = openSync(path, 'r+');
  try {
    const end = endOf(log);
    if (end === undefined || fstatSync(log).size <= end) return;
    // First what is kept.
    fdatasyncSync(log);
    ftruncateSync(log, end);
    fdatasyncSync(log);
  } finally {
    closeSync(log);
  }
}

type Sum = readonly [number, number];

/** It has the size of the file in pages. */
function isLastOfTransaction(frame: Buffer): boolean {
  return frame.readUInt32BE(4) > 0;
}

/** Zeros fit their checksum, and no page has this number. */
function isFrameWhole(frame: Buffer, before: Sum): boolean {
  if (frame.readUInt32BE(0) === 0) return false;
  const head = checksum(frame, 0, 8, before);
  const sum = checksum(frame, FRAME_HEADER_BYTES, FRAME_BYTES, head);
  return sum[0] === frame.readUInt32BE(16) && sum[1] === frame.readUInt32BE(20);
}

function isHeaderWhole(header: Buffer): boolean {
  if (header.readUInt32BE(0) !== LITTLE_ENDIAN || header.readUInt32BE(8) !== PAGE_BYTES) return false;
  const sum = checksum(header, 0, HEADER_BYTES - 8, [0, 0]);
  return sum[0] === header.readUInt32BE(24) && sum[1] === header.readUInt32BE(28);
}

function sumAt(bytes: Buffer, at: number): Sum {
  return [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)];
}

function checksum(bytes: Buffer, from: number, to: number, [first, second]: Sum): Sum {
  let [one, two] = [first, second];
  for (let at = from; at < to; at += 8) {
    one = (one + bytes.readUInt32LE(at) + two) >>> 0;
    two = (two + bytes.readUInt32LE(at + 4) + one) >>> 0;
  }
  return [one, two];
}

/** Undefined if the bytes are missing, or if the disk cannot read them. Throws other errors. */
export function readAt(
  file: number,
  at: number,
  length: number,
  onUnreadable = (): void => undefined,
): Buffer | undefined {
  const bytes = Buffer.allocUnsafe(length);
  reportProgress();
  try {
    return readSync(file, bytes, 0, length, at) === length ? bytes : undefined;
  } catch (error) {
    if (!isDiskError(error as NodeJS.ErrnoException)) throw error;
    onUnreadable();
    return undefined;
  }
}
