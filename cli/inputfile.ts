/**
 * Reads a file, a named pipe or standard input ("-"), and stops at a signal. The system blocks a thread that opens a pipe
 * without a writer, and the process could not end before one comes; so a pipe is opened without waiting, and asked.
 */
import { statSync } from 'node:fs';
import { constants, type FileHandle, open } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { describeFileError } from '#crds/systemwords.ts';

const LOOK_MS = 50;
const PIECE_BYTES = 65_536;

/** As people read it. */
export function nameInput(file: string): string {
  return file === '-' ? 'standard input' : file;
}

/** Throws the error of the system in plain words. */
export async function* readPieces(file: string): AsyncGenerator<Buffer> {
  try {
    if (file === '-') yield* process.stdin;
    else if (statSync(file).isFIFO()) yield* readPipe(file);
    else yield* (await open(file)).createReadStream();
  } catch (error) {
    throw describeFileError('read', nameInput(file), error);
  }
}

/** Stops after the piece that goes beyond `mostBytes`. */
export async function readWhole(file: string, mostBytes = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of readPieces(file)) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > mostBytes) break;
  }
  return Buffer.concat(pieces);
}

async function* readPipe(file: string): AsyncGenerator<Buffer> {
  const pipe = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    let hasWriter = false;
    for (;;) {
      const piece = await readPiece(pipe);
      if (piece?.length === 0 && hasWriter) return;
      // undefined: there is a writer, and nothing yet. Nothing at all: there is no writer yet.
      hasWriter ||= piece?.length !== 0;
      if (piece !== undefined && piece.length > 0) yield piece;
      else await setTimeout(LOOK_MS);
    }
  } finally {
    await pipe.close();
  }
}

async function readPiece(pipe: FileHandle): Promise<Buffer | undefined> {
  try {
    const { buffer, bytesRead } = await pipe.read(Buffer.alloc(PIECE_BYTES), 0, PIECE_BYTES, null);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined;
    throw error;
  }
}
