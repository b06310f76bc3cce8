/**
 * A message body on its way to disk. A small body stays in memory until the store takes it with its envelope. A larger
 * body, and every body while many are on their way, is streamed into a file beside the store, so memory is bounded for
 * any size and number. A discarded body leaves nothing behind. Disk errors reject, and the caller answers 4xx.
 */
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import type { BodyFolder } from './bodyfolder.ts';
import { answer } from './diskpulse.ts';
import { countLoose, giveBack, looseLimit, takePiece } from './pieces.ts';

export { provesDamage } from './pieces.ts';

/** A larger body becomes a file. Measured: larger values in the store cost more than a file and its sync. */
export const INLINE_BYTES = 128 * 1024;
const READ_BYTES = 64 * 1024;

export type SealedBody = { kind: 'inline'; bytes: Buffer } | { kind: 'file'; bytes: number; crc: number };

export class BodyWriter {
  readonly #folder: BodyFolder;
  readonly #id: string;
  #chunks: Buffer[] = [];
  #loose = 0;
  #bytes = 0;
  #crc = 0;
  #piece: Buffer | undefined;
  /** Bytes in the piece. */
  #held = 0;
  #file: FileHandle | undefined;
  #isWhole = false;
  /** The last call of write. */
  #taking: Promise<void> = Promise.resolve();
  /** The last write to the file. Only one write runs at a time, while the next piece is filled. */
  #writing: Promise<void> = Promise.resolve();

  constructor(folder: BodyFolder, id: string) {
    this.#folder = folder;
    this.#id = id;
  }

  /** Undefined: more may come at once. */
  write(...chunks: readonly Buffer[]): Promise<void> | undefined {
    for (const chunk of chunks) {
      this.#bytes += chunk.length;
      this.#chunks.push(chunk);
      this.#loose += chunk.length;
      countLoose(chunk.length);
    }
    if (this.#loose <= looseLimit()) return undefined;
    this.#taking = this.#writeLoose();
    return this.#taking;
  }

  async #writeLoose(): Promise<void> {
    if (!this.#file) this.#piece ??= takePiece();
    const chunks = this.#takeLoose();
    if (!this.#piece) return this.#writeOut(chunks);
    // The chunks are copied into the piece, so they are garbage collected early.
    for (const each of chunks) await this.#append(each);
  }

  /** How many were written. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Resolves when the body is complete: in memory, or on disk and synced with its name. */
  async seal(): Promise<SealedBody> {
    if (!this.#file && this.#bytes <= INLINE_BYTES) return { kind: 'inline', bytes: this.#takeAll() };
    await this.#writeRest();
    const file = await this.#open();
    await answer(file.datasync());
    await file.close();
    await rename(this.#unfinished, this.#path);
    this.#isWhole = true;
    await this.#folder.sync();
    return { kind: 'file', bytes: this.#bytes, crc: this.#crc };
  }

  /** Reads what was written, as often as wanted. Chunks stay valid. Nothing may be written after the first time. */
  async *read(): AsyncGenerator<Buffer> {
    const file = this.#file;
    if (!file) {
      // The piece is used again, after this body.
      if (this.#piece) yield Buffer.from(this.#piece.subarray(0, this.#held));
      yield* this.#chunks;
      return;
    }
    await this.#writeRest();
    for (let at = 0; at < this.#bytes; ) {
      const chunk = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, this.#bytes - at));
      const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
      if (bytesRead === 0) throw new Error('a message body is shorter than it was');
      at += bytesRead;
      yield chunk.subarray(0, bytesRead);
    }
  }

  /**
   * Discards the body. Never rejects: a file that cannot be removed now is swept later. `isNamed`: a record may name the
   * body, so a complete file stays.
   */
  async discard(isNamed = false): Promise<void> {
    this.#takeLoose();
    // A write under way may still open the file, and take or give back a piece.
    await this.#taking.catch(() => undefined);
    await this.#writing.catch(() => undefined);
    this.#release();
    if (!this.#file) return;
    await this.#file.close().catch(() => undefined);
    if (isNamed && this.#isWhole) return;
    await unlink(this.#isWhole ? this.#path : this.#unfinished).catch(() => undefined);
  }

  get #path(): string {
    return this.#folder.pathOf(this.#id);
  }

  /** The path of the file until it is complete. */
  get #unfinished(): string {
    return this.#folder.unfinishedPathOf(this.#id);
  }

  async #writeRest(): Promise<void> {
    if (this.#piece) await this.#writeOut([this.#piece.subarray(0, this.#held)]);
    await this.#writeOut(this.#takeLoose());
    await this.#writing;
    this.#release();
  }

  async #append(chunk: Buffer): Promise<void> {
    for (let from = 0; from < chunk.length; ) {
      if (!this.#piece) return this.#writeOut([chunk.subarray(from)]);
      if (this.#held === this.#piece.length) {
        await this.#spill(this.#piece);
        continue;
      }
      const copied = chunk.copy(this.#piece, this.#held, from);
      this.#held += copied;
      from += copied;
    }
  }

  /** Takes another piece while this one is written. Without a free piece, goes on without one. */
  async #spill(piece: Buffer): Promise<void> {
    await this.#writeOut([piece]);
    this.#piece = takePiece();
    this.#held = 0;
    const free = () => giveBack(piece);
    // The code that awaits this write gets the failure.
    this.#writing.then(free, free);
    if (!this.#piece) await this.#writing;
  }

  /** Starts this write after the earlier writes have ended. */
  async #writeOut(chunks: readonly Buffer[]): Promise<void> {
    for (const chunk of chunks) this.#crc = crc32(chunk, this.#crc);
    const file = await this.#open();
    await this.#writing;
    if (chunks.length === 0) return;
    this.#writing = writeWhole(file, chunks);
    // The code that awaits this write gets the failure.
    this.#writing.catch(() => undefined);
  }

  async #open(): Promise<FileHandle> {
    this.#file ??= await open(this.#unfinished, 'wx+', 0o600);
    return this.#file;
  }

  #takeLoose(): Buffer[] {
    const chunks = this.#chunks;
    countLoose(-this.#loose);
    this.#chunks = [];
    this.#loose = 0;
    return chunks;
  }

  #takeAll(): Buffer {
    const chunks = this.#takeLoose();
    if (this.#piece) chunks.unshift(this.#piece.subarray(0, this.#held));
    const bytes = Buffer.concat(chunks, this.#bytes);
    this.#release();
    return bytes;
  }

  #release(): void {
    if (this.#piece) giveBack(this.#piece);
    this.#piece = undefined;
    this.#held = 0;
  }
}

async function writeWhole(file: FileHandle, chunks: readonly Buffer[]): Promise<void> {
  const bytes = chunks.reduce((sum, { length }) => sum + length, 0);
  const { bytesWritten } = await answer(file.writev(chunks as Buffer[]));
  if (bytesWritten === bytes) return;
  // A short write is the first sign of a full disk. The next write says ENOSPC.
  const rest = bytes - bytesWritten;
  throw Object.assign(new Error(`Cannot write ${rest} bytes of a message body`), { code: 'ENOSPC' });
}
