/**
 * The two clocks. What waits, paces or expires within the life of a process reads `monotonic`, which no person and no
 * time server can turn; what people read, and what must survive a restart, reads `wall`.
 */

/** Milliseconds since some moment before this process began. */
export const monotonic = (): number => performance.now();

/** Milliseconds since the epoch. */
export const wall = (): number => Date.now();
