/**
 * How much more mail the volume can take. A reserve always stays free, because settling a queued message needs space.
 * Free pages inside the store count as room. The content of the log counts against the room until it is copied into the
 * tables. The value is renewed several times a second.
 */
import { statfsSync } from 'node:fs';
import { INLINE_BYTES } from './body.ts';

const RESERVE_BYTES = 64 * 2 ** 20;
const RESERVE_SHARE = 0.05;
/** On a small volume the reserve must not take all the space. */
const RESERVE_AT_MOST = 0.25;
/** A disk does not fill within this time, and the reserve covers the rest. */
const KNOWN_MS = 100;

export interface StoreSpace {
  /** Bytes inside the file that can be used again. */
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

  /** True if a message of this size may be taken. */
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
    // The content of the log goes into free pages first.
    this.#onDisk = bavail * bsize - reserve - Math.max(0, pending - free);
    this.#inStore = bavail * bsize - reserve - pending + free;
  }
}
