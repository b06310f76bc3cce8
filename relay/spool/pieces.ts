/**
 * The buffers for large bodies on their way to disk and back. They are large, because each one costs a turn through the
 * thread pool. They are reused, because a steady flow of new buffers makes V8 collect its whole heap. Also counts the
 * memory of all bodies of this process: the more there are, the less each may keep.
 */
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { isDiskError } from './files.ts';

/** Measured: half the size costs 7 % more CPU for a message of 1 MB. */
const PIECE_BYTES = 256 * 1024;
const SPARE = 16;
/** Above this total a new body gets no piece, and a reader gets a small one. */
const PLENTY_BYTES = 24 * 2 ** 20;
const SMALL_BYTES = 64 * 1024;
/** A body up to this size keeps its chunks without a copy, because a copy would cost more. */
const LOOSE_BYTES = 32 * 1024;
/** Above this total a body keeps only its last chunk. */
const MOST_BYTES = 64 * 2 ** 20;

const spare: Buffer[] = [];
let held = 0;

/** Undefined if memory is scarce. The body then goes to its file chunk by chunk. */
export function takePiece(): Buffer | undefined {
  if (held >= PLENTY_BYTES) return undefined;
  held += PIECE_BYTES;
  return spare.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES);
}

/** Call this only when nobody reads the piece any more. */
export function giveBack(piece: Buffer): void {
  held -= piece.length;
  if (piece.length === PIECE_BYTES && spare.length < SPARE) spare.push(piece);
}

/** Counts chunks that a body keeps uncopied. A negative number means that the body releases them. */
export function countLoose(bytes: number): void {
  held += bytes;
}

/** How many bytes of uncopied chunks a body may keep. */
export function looseLimit(): number {
  return held < MOST_BYTES ? LOOSE_BYTES : 0;
}

function takeForReading(): Buffer {
  const piece = takePiece();
  if (piece) return piece;
  held += SMALL_BYTES;
  return Buffer.allocUnsafeSlow(SMALL_BYTES);
}

/** The expected content of a file. `crc` is zero if an earlier version wrote it without a checksum. */
export interface Expected {
  readonly bytes: number;
  readonly crc: number;
}

class DamagedBody extends Error {}

/** False for an error that may pass by itself, such as too many open files. */
export function provesDamage(error: NodeJS.ErrnoException): boolean {
  return error instanceof DamagedBody || isDiskError(error);
}

/** Checks all bytes that pass, so a body with a wrong checksum never reaches its end. */
class Check {
  readonly #expected: Expected;
  #bytes = 0;
  #crc = 0;

  constructor(expected: Expected) {
    this.#expected = expected;
  }

  /** Throws if this is the end and the checksum or the length is wrong. */
  see(piece: Buffer): void {
    const { bytes, crc } = this.#expected;
    this.#bytes += piece.length;
    if (crc !== 0) this.#crc = crc32(piece, this.#crc);
    if (this.#bytes > bytes) throw new DamagedBody('the body is longer than it was');
    if (this.#bytes === bytes && crc !== this.#crc)
      throw new DamagedBody('the body was altered: its checksum does not match');
  }

  end(): void {
    if (this.#bytes < this.#expected.bytes) throw new DamagedBody('the body ends before its end');
  }
}

/** Reads a file as chunks that stay valid. Throws before the last chunk if the file is not as expected. */
export async function* readChunks(path: string, expected: Expected): AsyncGenerator<Buffer> {
  const check = new Check(expected);
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    check.see(chunk);
    yield chunk;
  }
  check.end();
}

/** Reads a file as pieces. A piece is valid until the next one is requested. */
export async function* readPieces(path: string, expected: Expected): AsyncGenerator<Buffer> {
  const { bytes } = expected;
  const check = new Check(expected);
  const file = await open(path, 'r');
  let piece = takeForReading();
  let ahead = takePiece();
  let reading = readInto(file, piece);
  try {
    for (let at = 0; at < bytes; ) {
      const read = await reading;
      if (read === 0) check.end();
      at += read;
      if (ahead && at < bytes) reading = readInto(file, ahead);
      const now = piece.subarray(0, read);
      check.see(now);
      yield now;
      if (ahead) [piece, ahead] = [ahead, piece];
      else if (at < bytes) reading = readInto(file, piece);
    }
  } finally {
    await reading.catch(() => undefined);
    giveBack(piece);
    if (ahead) giveBack(ahead);
    await file.close();
  }
}

function readInto(file: FileHandle, piece: Buffer): Promise<number> {
  const reading = file.read(piece, 0, piece.length).then(({ bytesRead }) => bytesRead);
  // The code that awaits this read gets the failure. Until then it must not count as an unhandled rejection.
  reading.catch(() => undefined);
  return reading;
}
