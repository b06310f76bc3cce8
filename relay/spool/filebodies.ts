/**
 * Reads bodies that are files. The checksum of a body is known after all of it was read. A body with a wrong checksum
 * or that the disk cannot read never reaches its end, and is damaged from then on. An error of the reader, such as a
 * broken connection, says nothing about the body.
 */
import { statSync } from 'node:fs';
import { Readable } from 'node:stream';
import type { BodyFolder } from './bodyfolder.ts';
import { type Expected, provesDamage, readChunks, readPieces } from './pieces.ts';
import type { Strays } from './strays.ts';

/** Both functions start at the first byte at each call. */
export interface Body {
  readonly open: () => Readable;
  /** One buffer if the body is in memory, else pieces. A piece is valid until the next one is requested. */
  readonly pieces: () => Buffer | AsyncIterable<Buffer>;
}

export class FileBodies {
  readonly #folder: BodyFolder;
  readonly #strays: Strays;
  readonly #unreadable = new Set<string>();

  constructor(folder: BodyFolder, strays: Strays) {
    this.#folder = folder;
    this.#strays = strays;
  }

  /** Undefined if the body is missing, cut short or known to be damaged. */
  find(id: string, expected: Expected): Body | undefined {
    const path = this.#folder.pathOf(id);
    if (this.#unreadable.has(id)) return undefined;
    if (readSize(path) === undefined) this.#strays.bringBack(id);
    if (readSize(path) !== expected.bytes) return undefined;
    return {
      open: () => Readable.from(this.#noting(id, readChunks(path, expected)), { objectMode: false }),
      pieces: () => this.#noting(id, readPieces(path, expected)),
    };
  }

  /** `yield*` would pass an error of the reader through the pieces, so it could not be told from one of the disk. */
  async *#noting(id: string, pieces: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
    const next = () =>
      pieces.next().catch((error: Error) => {
        if (provesDamage(error)) this.#unreadable.add(id);
        throw error;
      });
    try {
      for (let piece = await next(); !piece.done; piece = await next()) yield piece.value;
    } finally {
      await pieces.return(undefined);
    }
  }
}

function readSize(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size;
}
