/**
 * The two clocks. Waits, rates and expiries inside one process use `monotonic`, which no person and no time server can
 * change. Times that people read, or that must survive a restart, use `wall`.
 */

/** Milliseconds since a moment before this process began. */
export const monotonic = (): number => performance.now();

/** Milliseconds since the epoch. */
export const wall = (): number => Date.now();

/** Both clocks as an argument, so a test can set them. */
export interface Clocks {
  readonly monotonic: () => number;
  readonly wall: () => number;
}

export const CLOCKS: Clocks = { monotonic, wall };
