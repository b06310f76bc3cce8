/** A pause that an abort ends early without an error, for loops that check their signal themselves. */
import { setTimeout as sleep } from 'node:timers/promises';

export async function sleepUnlessAborted(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
