/**
 * Reads SQLite's write-ahead log (https://sqlite.org/fileformat2.html#walformat). The checksum of a frame covers all
 * frames before it, so SQLite stops at the first broken frame. But each frame can also be checked from the frame before
 * it alone. A whole frame behind a broken one was written, and may have been acknowledged.
 */
import { fstatSync, readSync } from 'node:fs';
import { reportProgress } from './diskpulse.ts';
import { isDiskError } from './files.ts';
import { PAGE_BYTES } from './sqlitefile.ts';

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES;
/**
 * With this magic number the checksums use little-endian words, as this machine does. With the other one they use
 * big-endian words.
 */
const LITTLE_ENDIAN = 0x377f0682;

/** The place in the log of the newest image of each page. */
type Images = ReadonlyMap<number, number>;

export interface LogContents {
  /** The frames that SQLite uses: all up to the last transaction before a broken frame. */
  readonly taken: Images;
  /** The whole frames behind the broken frame. */
  readonly behind: Images;
}

export function readLog(log: number): LogContents {
  const header = readAt(log, 0, HEADER_BYTES);
  const [taken, behind] = [new Map<number, number>(), new Map<number, number>()];
  if (!header || !isHeaderWhole(header)) return { taken, behind };
  let open = new Map<number, number>();
  let before = sumAt(header, HEADER_BYTES - 8);
  let isBroken = false;
  const { size } = fstatSync(log);
  for (let at = HEADER_BYTES; at + FRAME_BYTES <= size; at += FRAME_BYTES) {
    const frame = readAt(log, at, FRAME_BYTES);
    // Behind the end lie frames of an older log, with another salt.
    const isOurs = frame?.compare(header, 16, 24, 8, 16) === 0;
    const isWhole = isOurs && isFrameWhole(frame, before);
    before = frame ? sumAt(frame, 16) : before;
    isBroken ||= !isWhole;
    if (!isWhole || !frame) continue;
    const [page, place] = [frame.readUInt32BE(0), at + FRAME_HEADER_BYTES];
    (isBroken ? behind : open).set(page, place);
    if (isBroken || frame.readUInt32BE(4) === 0) continue;
    for (const [each, newest] of open) taken.set(each, newest);
    open = new Map();
  }
  return { taken, behind };
}

type Sum = readonly [number, number];

function isFrameWhole(frame: Buffer, before: Sum): boolean {
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
