/**
 * The two clocks. What waits, paces or expires within the life of a process reads `monotonic`, which no person and no
 * time server can turn; what people read, and what must survive a restart, reads `wall`.
 */

/** Milliseconds since some moment before this process began. */
export const monotonic = (): number => performance.now();

/** Milliseconds since the epoch. */
export const wall = (): number => Date.now();

/** Both, where both are wanted: an argument, so that a test can turn them. */
export interface Clocks {
  readonly monotonic: () => number;
  readonly wall: () => number;
}

export const CLOCKS: Clocks = { monotonic, wall };
