/**
 * A message body on its way to disk. What fits into a piece stays in memory until the store takes it with its envelope
 * (measured, larger values in the store cost more than a file and its sync); larger ones stream into a file beside the
 * store, so that memory per session is bounded whatever the size. A body that is given up leaves nothing behind. Errors of the disk reject; the caller answers 4xx.
 */
import { type FileHandle, open, unlink } from 'node:fs/promises';
import type { BodyFolder } from './bodyfolder.ts';
import { giveBack, takePiece } from './pieces.ts';

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

  /** The chunk is taken as it is; what holds it may be used again once this resolves. */
  async write(chunk: Buffer): Promise<void> {
    this.#bytes += chunk.length;
    if (!this.#piece && this.#bytes <= LOOSE_BYTES) {
      this.#chunks.push(chunk);
      return;
    }
    this.#piece ??= takePiece();
    const chunks = this.#chunks;
    this.#chunks = [];
    for (const each of chunks) await this.#append(each);
    await this.#append(chunk);
  }

  /** Everything is in memory, or on disk and synced, name included. */
  async seal(): Promise<SealedBody> {
    if (!this.#file) return { kind: 'inline', bytes: this.#gathered() };
    await this.#spill(this.#file);
    await this.#writing;
    await this.#file.datasync();
    await this.#file.close();
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
      if (this.#held === this.#piece?.length) {
        this.#file ??= await open(this.#path, 'wx', 0o600);
        await this.#spill(this.#file);
      }
      const copied = this.#piece ? chunk.copy(this.#piece, this.#held, from) : 0;
      this.#held += copied;
      from += copied;
    }
  }

  /** Begins to write what is held, and goes on with another piece. */
  async #spill(file: FileHandle): Promise<void> {
    await this.#writing;
    const [piece, held] = [this.#piece ?? takePiece(), this.#held];
    this.#piece = takePiece();
    this.#held = 0;
    this.#writing = writeWhole(file, piece, held).finally(() => giveBack(piece));
    // Whoever waits for it hears of it; until then it is no unhandled rejection.
    this.#writing.catch(() => undefined);
  }

  #gathered(): Buffer {
    if (!this.#piece) return Buffer.concat(this.#chunks, this.#bytes);
    const bytes = Buffer.from(this.#piece.subarray(0, this.#held));
    this.#letGo();
    return bytes;
  }

  #letGo(): void {
    if (this.#piece) giveBack(this.#piece);
    this.#piece = undefined;
  }
}

async function writeWhole(file: FileHandle, piece: Buffer, bytes: number): Promise<void> {
  const { bytesWritten } = await file.write(piece, 0, bytes);
  if (bytesWritten === bytes) return;
  // A short write is how a full disk shows first; the next one says ENOSPC.
  const rest = bytes - bytesWritten;
  throw Object.assign(new Error(`Cannot write ${rest} bytes of a message body`), { code: 'ENOSPC' });
}
