/**
 * The buffers that large bodies pass through on their way to disk and back: as large as pays, because each costs a turn
 * through the thread pool, and used again, because V8 collects its whole heap when there is always new memory. Counts
 * what all bodies of this process hold in memory: the more there are, the less each may hold.
 */
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';

/** Measured: half as large costs 7 % more CPU for a message of 1 MB. */
const PIECE_BYTES = 256 * 1024;
const SPARE = 16;
/** With more in memory a body gets no piece, and one that is read gets a small one. */
const PLENTY_BYTES = 24 * 2 ** 20;
const SMALL_BYTES = 64 * 1024;
/** Chunks are kept as they come up to here, where a body is not larger: copied, they would cost more. */
const LOOSE_BYTES = 32 * 1024;
/** With more in memory no body keeps more than the chunk that came last. */
const MOST_BYTES = 64 * 2 ** 20;

const spare: Buffer[] = [];
let held = 0;

/** Undefined where memory is scarce: the body then goes to its file as it comes. */
export function takePiece(): Buffer | undefined {
  if (held >= PLENTY_BYTES) return undefined;
  held += PIECE_BYTES;
  return spare.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES);
}

/** Only when nobody will look at it again. */
export function giveBack(piece: Buffer): void {
  held -= piece.length;
  if (piece.length === PIECE_BYTES && spare.length < SPARE) spare.push(piece);
}

/** Counts chunks that a body keeps (or, below zero, lets go) as they came. */
export function countLoose(bytes: number): void {
  held += bytes;
}

/** How much a body may keep as it came. */
export function looseLimit(): number {
  return held < MOST_BYTES ? LOOSE_BYTES : 0;
}

function takeForReading(): Buffer {
  const piece = takePiece();
  if (piece) return piece;
  held += SMALL_BYTES;
  return Buffer.allocUnsafeSlow(SMALL_BYTES);
}

/** What a file must hold; `crc` is zero where an earlier version did not say. */
export interface Expected {
  readonly bytes: number;
  readonly crc: number;
}

/** Looks at all that passes, so that a body whose checksum is wrong never comes to its end. */
class Check {
  readonly #expected: Expected;
  #bytes = 0;
  #crc = 0;

  constructor(expected: Expected) {
    this.#expected = expected;
  }

  /** Throws where this is the end, and not the right one. */
  see(piece: Buffer): void {
    const { bytes, crc } = this.#expected;
    this.#bytes += piece.length;
    if (crc !== 0) this.#crc = crc32(piece, this.#crc);
    if (this.#bytes > bytes) throw new Error('the body is longer than it was');
    if (this.#bytes === bytes && crc !== this.#crc)
      throw new Error('the body was altered: its checksum does not match');
  }

  end(): void {
    if (this.#bytes < this.#expected.bytes) throw new Error('the body ends before its end');
  }
}

/** A file as chunks that stay good. Throws before its last chunk where it is not what it must be. */
export async function* readChunks(path: string, expected: Expected): AsyncGenerator<Buffer> {
  const check = new Check(expected);
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    check.see(chunk);
    yield chunk;
  }
  check.end();
}

/** The same in pieces that are good until the next is asked for. */
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
  // Whoever waits for it hears of it; until then it is no unhandled rejection.
  reading.catch(() => undefined);
  return reading;
}
