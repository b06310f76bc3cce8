/**
 * Waits for a condition, never for a time: checks it again and again until it is true, and fails with the name of the
 * condition.
 */
const EVERY_MS = 25;

/**
 * How much longer than a look the pause after it is. A look that takes long (a command, a list of a cluster) must not
 * take the machine from what it waits for.
 */
const PAUSE_PER_LOOK = 2;
const LONGEST_PAUSE_MS = 500;

/** The first truthy value of `look`. Throws after `withinMs` with `what` and the last error. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  withinMs = 60_000,
): Promise<NonNullable<T> & (T extends false ? never : T)> {
  const deadline = performance.now() + withinMs;
  let last: unknown;
  for (;;) {
    const begun = performance.now();
    try {
      const found = await look();
      if (found) return found as NonNullable<T> & (T extends false ? never : T);
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      throw new Error(
        `Waited ${withinMs} ms in vain for ${what}${last ? `: ${(last as Error).message}` : ''}`,
      );
    }
    const pauseMs = Math.min(PAUSE_PER_LOOK * (performance.now() - begun), LONGEST_PAUSE_MS);
    await new Promise((tick) => setTimeout(tick, Math.max(EVERY_MS, pauseMs)));
  }
}

/** The same; the source text of the condition is its name. */
export function eventually(holds: () => boolean | Promise<boolean>): Promise<boolean> {
  return until(String(holds), holds);
}
