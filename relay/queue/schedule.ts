/**
 * When to try again. A message that was put off waits longer each time, up to half an hour. A destination that cannot
 * be reached is probed from one second on, at most half a minute apart for the first five minutes and a quarter of an
 * hour apart in the end, so that mail leaves soon after it is back. Jitter spreads retries by a fifth either way. Pure:
 * randomness comes in. When it ends is sweep.ts.
 */
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const MESSAGE_STEPS = [1, 2, 5, 10, 20, 30].map((minutes) => minutes * MINUTE);
const PROBE_STEPS = [
  ...[1, 2, 4, 8, 16].map((seconds) => seconds * SECOND),
  ...Array.from({ length: 9 }, () => 30 * SECOND),
  ...[1, 2, 4, 8, 15].map((minutes) => minutes * MINUTE),
];

/** Milliseconds until a message is tried again after `attempts` (from 1) deferrals; `random` in [0, 1). */
export function messageRetryMs(attempts: number, random: number): number {
  return jittered(stepOf(MESSAGE_STEPS, attempts), random);
}

/** Milliseconds until a destination is probed again after `failures` (from 1) in a row. */
export function destinationRetryMs(failures: number, random: number): number {
  return jittered(stepOf(PROBE_STEPS, failures), random);
}

function stepOf(steps: readonly number[], count: number): number {
  return steps[Math.min(count, steps.length) - 1] ?? MINUTE;
}

function jittered(ms: number, random: number): number {
  return Math.round(ms * (0.8 + 0.4 * random));
}
