/**
 * A message body on its way to disk. Small bodies stay in memory until the store takes them with their envelope;
 * larger ones stream into a file beside the store, so that memory per session is bounded whatever the size. A body
 * that is given up leaves nothing behind. Errors of the disk reject; the caller answers 4xx.
 */
import { type FileHandle, open, unlink } from 'node:fs/promises';
import type { BodyFolder } from './bodyfolder.ts';
import { giveBack, takePiece, takeSecondPiece } from './pieces.ts';
import { answer } from './unanswered.ts';

/** Above this a body is a file: measured, larger values in the store cost more than a file and its sync. */
const INLINE_BYTES = 128 * 1024;
/** Up to here the chunks are kept as they come; more of them are copied into pieces, so that they die young. */
const LOOSE_BYTES = 32 * 1024;

export type SealedBody = { kind: 'inline'; bytes: Buffer } | { kind: 'file'; bytes: number };

export class BodyWriter {
  readonly #path: string;
  readonly #folder: BodyFolder;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #piece: Buffer | undefined;
  /** Bytes in the piece. */
  #held = 0;
  #file: FileHandle | undefined;
  /** The piece before, on its way to the file: one at a time, while the next one fills. */
  #writing: Promise<void> = Promise.resolve();

  constructor(folder: BodyFolder, id: string) {
    this.#folder = folder;
    this.#path = folder.pathOf(id);
  }

  async write(chunk: Buffer): Promise<void> {
    this.#bytes += chunk.length;
    this.#chunks.push(chunk);
    if (this.#bytes <= LOOSE_BYTES) return;
    const chunks = this.#chunks;
    this.#chunks = [];
    for (const each of chunks) await this.#append(each);
  }

  /** Everything is in memory, or on disk and synced, name included. */
  async seal(): Promise<SealedBody> {
    if (!this.#piece) return { kind: 'inline', bytes: Buffer.concat(this.#chunks, this.#bytes) };
    if (this.#bytes <= INLINE_BYTES) return { kind: 'inline', bytes: this.#takenOut(this.#piece) };
    const file = await this.#beginToWrite(this.#piece);
    await this.#writing;
    await answer(file.datasync());
    await file.close();
    await this.#folder.sync();
    this.#letGo();
    return { kind: 'file', bytes: this.#bytes };
  }

  /** Gives the body up. Never rejects: what cannot be removed now is swept at the next start. */
  async discard(): Promise<void> {
    this.#chunks = [];
    await this.#writing.catch(() => undefined);
    this.#letGo();
    if (!this.#file) return;
    await this.#file.close().catch(() => undefined);
    await unlink(this.#path).catch(() => undefined);
  }

  async #append(chunk: Buffer): Promise<void> {
    for (let from = 0; from < chunk.length; ) {
      this.#piece ??= takePiece();
      if (this.#held === this.#piece.length) await this.#spill(this.#piece);
      const copied = chunk.copy(this.#piece, this.#held, from);
      this.#held += copied;
      from += copied;
    }
  }

  /** Goes on with another piece while this one is written, or with the same one when it is. */
  async #spill(piece: Buffer): Promise<void> {
    await this.#beginToWrite(piece);
    const second = takeSecondPiece();
    if (!second) return this.#writing;
    this.#piece = second;
    const free = () => giveBack(piece);
    // Whoever waits for it hears of a failure.
    this.#writing.then(free, free);
  }

  async #beginToWrite(piece: Buffer): Promise<FileHandle> {
    this.#file ??= await open(this.#path, 'wx', 0o600);
    await this.#writing;
    this.#writing = writeWhole(this.#file, piece, this.#held);
    this.#held = 0;
    return this.#file;
  }

  #takenOut(piece: Buffer): Buffer {
    const bytes = Buffer.from(piece.subarray(0, this.#held));
    this.#letGo();
    return bytes;
  }

  #letGo(): void {
    if (this.#piece) giveBack(this.#piece);
    this.#piece = undefined;
  }
}

async function writeWhole(file: FileHandle, piece: Buffer, bytes: number): Promise<void> {
  const { bytesWritten } = await answer(file.write(piece, 0, bytes));
  if (bytesWritten === bytes) return;
  // A short write is how a full disk shows first; the next one says ENOSPC.
  const rest = bytes - bytesWritten;
  throw Object.assign(new Error(`Cannot write ${rest} bytes of a message body`), { code: 'ENOSPC' });
}
