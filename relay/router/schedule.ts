/**
 * When to try again. A message that was put off waits longer each time, up to half an hour; a destination that cannot
 * be reached is probed from one second on, so that mail leaves soon after it is back. Jitter spreads retries by a
 * fifth either way. Pure: randomness comes in. There is no end: bounces do not exist yet, so nothing expires.
 */
const MINUTE = 60_000;
const STEPS_MS = [1, 2, 5, 10, 20, 30].map((minutes) => minutes * MINUTE);
const PROBE_FIRST_MS = 1_000;
const PROBE_LAST_MS = 5 * MINUTE;

/** Milliseconds until a message is tried again after `attempts` (from 1) deferrals; `random` in [0, 1). */
export function messageRetryMs(attempts: number, random: number): number {
  const step = STEPS_MS[Math.min(attempts, STEPS_MS.length) - 1] ?? MINUTE;
  return jittered(step, random);
}

/** Milliseconds until a destination is probed again after `failures` (from 1) in a row. */
export function destinationRetryMs(failures: number, random: number): number {
  return jittered(Math.min(PROBE_FIRST_MS * 2 ** Math.min(failures - 1, 20), PROBE_LAST_MS), random);
}

function jittered(ms: number, random: number): number {
  return Math.round(ms * (0.8 + 0.4 * random));
}
