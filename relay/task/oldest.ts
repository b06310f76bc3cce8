/**
 * Bounds a map or set that has its oldest entry first. V8 finds the first entry by walking over all that were deleted
 * before it, so an eighth goes at once: one by one, each removal would cost as much as the map is large. Pure.
 */

const SHARE = 8;

/** Drops the oldest entries if there are more than `most`. Returns their keys. */
export function dropOldest<Key>(
  entries: { readonly size: number; keys(): Iterable<Key>; delete(key: Key): boolean },
  most: number,
): Key[] {
  const dropped: Key[] = [];
  if (entries.size <= most) return dropped;
  const left = most - Math.floor(most / SHARE);
  for (const key of entries.keys()) {
    if (entries.size <= left) break;
    entries.delete(key);
    dropped.push(key);
  }
  return dropped;
}
