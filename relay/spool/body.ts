/**
 * A message body on its way to disk. Small bodies stay in memory until the store takes them with their envelope;
 * larger ones stream into a file beside the store, so that memory per session is bounded whatever the size. A body
 * that is given up leaves nothing behind. Errors of the disk reject; the caller answers 4xx.
 */
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/** Above this a body is a file: measured, larger values in the store cost more than a file and its sync. */
const INLINE_BYTES = 128 * 1024;

const EMPTY = Buffer.alloc(0);

export type SealedBody = { kind: 'inline'; bytes: Buffer } | { kind: 'file'; bytes: number };

export class BodyWriter {
  readonly #path: string;
  readonly #directory: string;
  #chunks: Buffer[] = [];
  #file: FileHandle | undefined;
  #bytes = 0;
  /**
   * Of a file, what is not written yet: in large pieces, because each costs a turn through the thread pool. A copy, so
   * that the chunks of the socket die young: V8 collects its whole heap when those that live grow.
   */
  #piece = EMPTY;
  #held = 0;

  constructor(directory: string, id: string) {
    this.#directory = directory;
    this.#path = join(directory, id);
  }

  async write(chunk: Buffer): Promise<void> {
    this.#bytes += chunk.length;
    if (this.#file) return this.#append(this.#file, chunk);
    this.#chunks.push(chunk);
    if (this.#bytes <= INLINE_BYTES) return;
    this.#file = await open(this.#path, 'wx', 0o600);
    this.#piece = Buffer.allocUnsafeSlow(INLINE_BYTES);
    const chunks = this.#chunks;
    this.#chunks = [];
    for (const each of chunks) await this.#append(this.#file, each);
  }

  /** Everything is in memory, or on disk and synced, name included. */
  async seal(): Promise<SealedBody> {
    if (!this.#file) return { kind: 'inline', bytes: Buffer.concat(this.#chunks, this.#bytes) };
    await this.#flush(this.#file);
    await this.#file.datasync();
    await this.#file.close();
    await syncDirectory(this.#directory);
    return { kind: 'file', bytes: this.#bytes };
  }

  /** Gives the body up. Never rejects: what cannot be removed now is swept at the next start. */
  async discard(): Promise<void> {
    this.#chunks = [];
    if (!this.#file) return;
    await this.#file.close().catch(() => undefined);
    await unlink(this.#path).catch(() => undefined);
  }

  async #append(file: FileHandle, chunk: Buffer): Promise<void> {
    for (let from = 0; from < chunk.length; ) {
      const copied = chunk.copy(this.#piece, this.#held, from);
      this.#held += copied;
      from += copied;
      if (this.#held === this.#piece.length) await this.#flush(file);
    }
  }

  async #flush(file: FileHandle): Promise<void> {
    const wanted = this.#held;
    this.#held = 0;
    const { bytesWritten } = await file.write(this.#piece, 0, wanted);
    if (bytesWritten < wanted) {
      // A short write is how a full disk shows first; the next one says ENOSPC.
      const rest = wanted - bytesWritten;
      throw Object.assign(new Error(`Cannot write ${rest} bytes of a message body`), { code: 'ENOSPC' });
    }
  }
}

/** Makes names in a directory durable; a file alone may lose its name in a crash. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
