/**
 * What the heartbeat of this process tells of the disk. A disk that hangs blocks only a thread of the pool, so the
 * process looks healthy. The heartbeat therefore reports the oldest unanswered write or sync. The recovery of a long
 * store blocks the event loop, so the process looks stopped. The recovery therefore reports its progress.
 */
const underWay = new Set<{ readonly since: number }>();
let onProgress = (): void => undefined;

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

/** Work that blocks the event loop has come further. Called very often. */
export function reportProgress(): void {
  onProgress();
}

export const diskPulse = {
  /** When the oldest unanswered call began (monotonic clock). Undefined if none is under way. */
  oldestUnanswered: (): number | undefined => {
    const [oldest] = underWay;
    return oldest?.since;
  },
  /** There is one listener in a process. */
  whenProgress: (listener: () => void): void => {
    onProgress = listener;
  },
};
