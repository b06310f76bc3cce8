/**
 * The buffers that large bodies pass through on their way to disk and back: as large as pays, because each costs a turn
 * through the thread pool, and used again, because V8 collects its whole heap when there is always new memory.
 */
import { type FileHandle, open } from 'node:fs/promises';

/** Measured: half as large costs 7 % more CPU for a message of 1 MB. */
const PIECE_BYTES = 256 * 1024;
const SPARE = 16;
/** With more in use a message makes do with one, and what is read with a small one: many at a time cost memory. */
const PLENTY = 128;
const SMALL_BYTES = 64 * 1024;

const spare: Buffer[] = [];
let used = 0;

export function takePiece(): Buffer {
  used += 1;
  return spare.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES);
}

/** Only when nobody will look at it again. */
export function giveBack(piece: Buffer): void {
  used -= 1;
  if (piece.length === PIECE_BYTES && spare.length < SPARE) spare.push(piece);
}

/** A second piece, to fill while the first is on its way; undefined where they are scarce. */
export function takeSecondPiece(): Buffer | undefined {
  return used < PLENTY ? takePiece() : undefined;
}

function takeForReading(): Buffer {
  if (used < PLENTY) return takePiece();
  used += 1;
  return Buffer.allocUnsafeSlow(SMALL_BYTES);
}

/** A file of so many bytes, in pieces that are good until the next is asked for. Throws when it is shorter. */
export async function* readPieces(path: string, bytes: number): AsyncGenerator<Buffer> {
  const file = await open(path, 'r');
  let piece = takeForReading();
  let ahead = takeSecondPiece();
  let reading = readInto(file, piece);
  try {
    for (let at = 0; at < bytes; ) {
      const read = await reading;
      if (read === 0) throw new Error('the body ends before its end');
      at += read;
      if (ahead && at < bytes) reading = readInto(file, ahead);
      yield piece.subarray(0, read);
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
