/** How long the log of a store may grow, and when the store gives free pages back. Both depend on its volume. */
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { PAGE_BYTES } from './sqlitefile.ts';

/** Log size in pages at which the log is copied into the tables. It is smaller on a small volume. */
const LOG_PAGES = { least: 250, most: 4_000 };
const LOG_SHARE = 1 / 64;
/** Shrinking pays for a file of at least `pages` pages if three of four pages are free and the used pages are few. */
const SHRINK = { pages: 1_000, usedPages: 2_000, freeShare: 0.75 };
/** The used pages go through the log. That must not take the last room from others. */
const SHRINK_ROOM_SHARE = 0.5;

export function logPagesFor(path: string): number {
  const { blocks, bsize } = statfsSync(dirname(path));
  const share = Math.floor((blocks * bsize * LOG_SHARE) / PAGE_BYTES);
  return Math.min(Math.max(share, LOG_PAGES.least), LOG_PAGES.most);
}

/** `used`: the pages that are not free. */
export function paysToShrink(path: string, pages: number, used: number): boolean {
  if (pages < SHRINK.pages || used > SHRINK.usedPages || pages - used < pages * SHRINK.freeShare)
    return false;
  const { bavail, bsize } = statfsSync(dirname(path));
  return used * PAGE_BYTES <= bavail * bsize * SHRINK_ROOM_SHARE;
}
