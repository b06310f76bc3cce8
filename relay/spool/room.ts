/**
 * How much more mail the volume takes. Some room always stays free, because what is queued needs it to be settled. Pages
 * of the store that are free count as room for what goes into it, and what the log holds counts against it until it has
 * its place there. Known anew several times a second.
 */
import { statfsSync } from 'node:fs';
import { INLINE_BYTES } from './body.ts';

const RESERVE_BYTES = 64 * 2 ** 20;
const RESERVE_SHARE = 0.05;
/** A small claim must not be all reserve. */
const RESERVE_AT_MOST = 0.25;
/** A disk does not fill within this, or the reserve is there for it. */
const KNOWN_MS = 100;

export interface StoreSpace {
  /** Bytes within the file that can be used again. */
  readonly free: number;
  /** Bytes by which the file may grow when the log is copied into it. */
  readonly pending: number;
}

export class Room {
  readonly #folder: string;
  readonly #space: () => StoreSpace;
  #onDisk = 0;
  #inStore = 0;
  #knownAt = Number.NEGATIVE_INFINITY;

  constructor(folder: string, space: () => StoreSpace) {
    this.#folder = folder;
    this.#space = space;
  }

  /** True while a message of so many bytes may be taken. */
  has(bytes: number): boolean {
    const now = performance.now();
    if (now - this.#knownAt > KNOWN_MS) {
      this.#look();
      this.#knownAt = now;
    }
    return (bytes > INLINE_BYTES ? this.#onDisk : this.#inStore) > bytes;
  }

  #look(): void {
    const { bavail, blocks, bsize } = statfsSync(this.#folder);
    const total = blocks * bsize;
    const reserve = Math.min(Math.max(RESERVE_BYTES, total * RESERVE_SHARE), total * RESERVE_AT_MOST);
    const { free, pending } = this.#space();
    // What the log holds goes into free pages first.
    this.#onDisk = bavail * bsize - reserve - Math.max(0, pending - free);
    this.#inStore = bavail * bsize - reserve - pending + free;
  }
}
