/**
 * The buffers that large bodies pass through on their way to disk and back: as large as pays, because each costs a turn
 * through the thread pool, and used again, because V8 collects its whole heap when there is always new memory.
 */
import { type FileHandle, open } from 'node:fs/promises';

export const PIECE_BYTES = 128 * 1024;
const SPARE_PIECES = 32;

const spare: Buffer[] = [];

export function takePiece(): Buffer {
  return spare.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES);
}

/** Only when nobody will look at it again. */
export function giveBack(piece: Buffer): void {
  if (spare.length < SPARE_PIECES) spare.push(piece);
}

/** A file of so many bytes, one piece read ahead; each is good until the next is asked for. Throws when it is shorter. */
export async function* readPieces(path: string, bytes: number): AsyncGenerator<Buffer> {
  const file = await open(path, 'r');
  let [piece, ahead] = [takePiece(), takePiece()];
  let reading = readInto(file, piece);
  try {
    for (let at = 0; at < bytes; ) {
      const read = await reading;
      if (read === 0) throw new Error('the body ends before its end');
      at += read;
      if (at < bytes) reading = readInto(file, ahead);
      yield piece.subarray(0, read);
      [piece, ahead] = [ahead, piece];
    }
  } finally {
    await reading.catch(() => undefined);
    giveBack(piece);
    giveBack(ahead);
    await file.close();
  }
}

function readInto(file: FileHandle, piece: Buffer): Promise<number> {
  const reading = file.read(piece, 0, piece.length).then(({ bytesRead }) => bytesRead);
  // Whoever waits for it hears of it; until then it is no unhandled rejection.
  reading.catch(() => undefined);
  return reading;
}
