/**
 * Writes and syncs of this process that the disk has not answered: a disk that hangs blocks a thread of the pool and
 * nothing else, so that the process seems well. Whoever looks after the process asks for the oldest of them.
 */
const underWay = new Set<{ readonly since: number }>();

/** The answer to a write or a sync that has just begun. */
export async function answer<Result>(begun: Promise<Result>): Promise<Result> {
  const one = { since: performance.now() };
  underWay.add(one);
  try {
    return await begun;
  } finally {
    underWay.delete(one);
  }
}

/** When the oldest of them began, by the monotonic clock; undefined while none is under way. */
export function oldestUnanswered(): number | undefined {
  const [oldest] = underWay;
  return oldest?.since;
}
