/**
 * Copies a file so that the copy is on disk. Reads the bytes of the disk and not the kernel's cache. Throws the errors
 * of the disk. Also tells a file that the disk cannot read from one that it could not read for a moment, and a quota that
 * is used up from an error of the disk.
 */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { nameSystemError } from '#crds/systemwords.ts';
import { reportProgress } from './diskpulse.ts';

const COPY_BYTES = 2 ** 20;
/** The strictest alignment that reading past the cache needs. */
const ALIGN_BYTES = 4_096;
const STEP_BYTES = 8;

/** A volume on a network may be away for some seconds. */
const READ_AGAIN = { times: 5, pauseMs: 1_000 };

/** A sentence about the first part of the file that stays unreadable. Throws errors that are none of the disk. */
export function findUnreadable(path: string): string | undefined {
  const file = openSync(path, 'r');
  const buffer = Buffer.allocUnsafe(COPY_BYTES);
  try {
    for (let at = 0; ; ) {
      const read = readAgain(file, buffer, at);
      if (read === undefined) return `the disk cannot read it after byte ${at}`;
      if (read === 0) return undefined;
      at += read;
    }
  } finally {
    closeSync(file);
  }
}

function readAgain(file: number, buffer: Buffer, at: number): number | undefined {
  for (let time = 0; ; time++) {
    reportProgress();
    try {
      return readSync(file, buffer, 0, buffer.length, at);
    } catch (error) {
      if (!isDiskError(error as NodeJS.ErrnoException)) throw error;
      if (time === READ_AGAIN.times) return undefined;
      pause(READ_AGAIN.pauseMs);
    }
  }
}

/** No other error of a read says anything about the disk. */
export function isDiskError({ code }: NodeJS.ErrnoException): boolean {
  return code === 'EIO' || code === 'ENXIO';
}

/** As much as the log may need. */
const TRIAL_BYTES = 16 * 2 ** 20;

/** Tries it with a file of this name, which has gone before it is written: no kill leaves it. */
export function isQuotaUsedUp(trial: string): boolean {
  let file: number | undefined;
  try {
    file = openSync(trial, 'w', 0o600);
    unlinkSync(trial);
    writeWhole(file, Buffer.alloc(TRIAL_BYTES), 0);
    return false;
  } catch (error) {
    return nameSystemError(error) === 'EDQUOT';
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Recovery blocks its process in any case: nothing else may happen to the store meanwhile. */
function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

export function copyDurably(from: string, to: string): void {
  const target = openSync(to, 'w', 0o600);
  try {
    if (!copyFromDisk(from, target))
      copyThrough(from, target, constants.O_RDONLY, Buffer.allocUnsafe(COPY_BYTES));
    fdatasyncSync(target);
  } finally {
    closeSync(target);
  }
}

export function syncFolder(path: string): void {
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** False if the file system cannot read past the cache. */
function copyFromDisk(from: string, target: number): boolean {
  try {
    const flags = constants.O_RDONLY | constants.O_DIRECT;
    copyThrough(from, target, flags, alignedBuffer(from, flags));
    return true;
  } catch {
    return false;
  }
}

function copyThrough(from: string, target: number, flags: number, buffer: Buffer): void {
  const source = openSync(from, flags);
  try {
    for (let at = 0; ; ) {
      const read = readSync(source, buffer, 0, buffer.length, at);
      if (read === 0) return;
      writeWhole(target, buffer.subarray(0, read), at);
      at += read;
    }
  } finally {
    closeSync(source);
  }
}

function writeWhole(target: number, bytes: Buffer, at: number): void {
  for (let written = 0; written < bytes.length; )
    written += writeSync(target, bytes, written, bytes.length - written, at + written);
}

/** Node does not tell the address of a buffer, so this tries offsets and lets the kernel judge. */
function alignedBuffer(path: string, flags: number): Buffer {
  const whole = Buffer.allocUnsafeSlow(COPY_BYTES + ALIGN_BYTES);
  const source = openSync(path, flags);
  try {
    for (let offset = 0; offset < ALIGN_BYTES; offset += STEP_BYTES) {
      const candidate = whole.subarray(offset, offset + COPY_BYTES);
      if (isReadable(source, candidate)) return candidate;
    }
    throw new Error('no buffer suits');
  } finally {
    closeSync(source);
  }
}

function isReadable(source: number, buffer: Buffer): boolean {
  try {
    readSync(source, buffer, 0, buffer.length, 0);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EINVAL') return false;
    throw error;
  }
}
