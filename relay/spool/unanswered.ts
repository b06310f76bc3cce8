/**
 * Records the writes and syncs of this process that the disk has not answered. A disk that hangs blocks only a thread
 * of the pool, so the process looks healthy. The heartbeat therefore reports the oldest unanswered call.
 */
const underWay = new Set<{ readonly since: number }>();

/** Waits for a write or a sync that has just begun. */
export async function answer<Result>(begun: Promise<Result>): Promise<Result> {
  const one = { since: performance.now() };
  underWay.add(one);
  try {
    return await begun;
  } finally {
    underWay.delete(one);
  }
}

/** When the oldest unanswered call began (monotonic clock). Undefined if none is under way. */
export function oldestUnanswered(): number | undefined {
  const [oldest] = underWay;
  return oldest?.since;
}
