/**
 * Makes the log one that a process may write behind. A failed sync is told only to those who had the log open by then, and
 * the process that heard of it may be about to post its notice, or may have ended without one. Then the log has frames that
 * the kernel shows and the disk never got, and a loss of power takes all that was written behind them. So whoever opens the
 * store writes the frames again where they lie, and its own next sync covers them.
 */
import { writeSync } from 'node:fs';
import { isDiskFull } from '#crds/systemwords.ts';
import { asUnreadable } from './fault.ts';
import { HEADER_BYTES, readAt, readLog } from './logfile.ts';

const COPY_BYTES = 2 ** 20;

interface SeenLog {
  readonly begin: Buffer | undefined;
  /** The length of what SQLite uses, and of what is whole. Undefined: only SQLite can read this log. */
  readonly used: number;
  readonly whole: number | undefined;
}

/** Call this before the others are kept from writing, because checksums take their time. */
export function lookAtLog(log: number, measure: () => number): SeenLog {
  const begin = readAt(log, 0, HEADER_BYTES);
  const used = measure();
  return { begin, used, whole: used > HEADER_BYTES ? readLog(log).end : undefined };
}

/** Call this while nobody else can write. Throws if a frame is missing. */
export function writeLogAgain(log: number, { begin, used, whole }: SeenLog): void {
  // Each log begins otherwise. A new one was written while this process had it open, so this process hears of its errors.
  if (used <= HEADER_BYTES || !begin || !readAt(log, 0, HEADER_BYTES)?.equals(begin)) return;
  if (whole !== undefined && whole < used)
    throw asUnreadable(new Error('a part of the log is not what was written'));
  try {
    for (let at = 0; at < used; at += COPY_BYTES) copyInPlace(log, at, Math.min(COPY_BYTES, used - at));
  } catch (error) {
    // Where the disk writes to another place it may have no room for this, and the process needs its store.
    if (!isDiskFull(error)) throw error;
  }
}

function copyInPlace(log: number, at: number, length: number): void {
  const bytes = readAt(log, at, length);
  if (!bytes) throw asUnreadable(new Error('a part of the log cannot be read'));
  for (let written = 0; written < length; )
    written += writeSync(log, bytes, written, length - written, at + written);
}
