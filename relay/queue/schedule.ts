/**
 * When to try again. A message that was put off waits longer the older it is, up to half an hour: the pace is that of
 * its age, so that it outlives a restart. A destination that cannot be reached is probed from one second on, at most
 * half a minute apart for the first five minutes and a quarter of an hour apart in the end, so that mail leaves soon
 * after it is back. Jitter spreads retries by a fifth either way. Pure: randomness comes in. When it ends is sweep.ts.
 */
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
/** Pauses of a message that is put off each time: after 0, 1, 3, 8, 18, 38 minutes, give or take a fifth. */
const MESSAGE_STEPS = [
  { toAge: 0.5 * MINUTE, pause: 1 * MINUTE },
  { toAge: 2 * MINUTE, pause: 2 * MINUTE },
  { toAge: 5.5 * MINUTE, pause: 5 * MINUTE },
  { toAge: 13 * MINUTE, pause: 10 * MINUTE },
  { toAge: 28 * MINUTE, pause: 20 * MINUTE },
];
const MESSAGE_AT_MOST = 30 * MINUTE;
const LOGIN_STEPS = [1, 2, 5, 10, 20, 30].map((minutes) => minutes * MINUTE);
const PROBE_STEPS = [
  ...[1, 2, 4, 8, 16].map((seconds) => seconds * SECOND),
  ...Array.from({ length: 9 }, () => 30 * SECOND),
  ...[1, 2, 4, 8, 15].map((minutes) => minutes * MINUTE),
];

/** Milliseconds until a message is tried again that was put off at this age; `random` in [0, 1). */
export function messageRetryMs(ageMs: number, random: number): number {
  const pause = MESSAGE_STEPS.find(({ toAge }) => ageMs < toAge)?.pause ?? MESSAGE_AT_MOST;
  return jittered(pause, random);
}

/** Milliseconds until a destination is probed again after `failures` (from 1) in a row. */
export function destinationRetryMs(failures: number, random: number): number {
  return jittered(stepOf(PROBE_STEPS, failures), random);
}

/** The same where it refused our login: many wrong logins in a row may lock an account. */
export function loginRetryMs(failures: number, random: number): number {
  return jittered(stepOf(LOGIN_STEPS, failures), random);
}

/** How often a destination was probed in vain that has been away for so long. */
export function failuresWithin(ms: number): number {
  let left = ms;
  const failures = PROBE_STEPS.findIndex((pause) => {
    left -= pause;
    return left < 0;
  });
  return failures === -1 ? PROBE_STEPS.length : failures;
}

function stepOf(steps: readonly number[], count: number): number {
  return steps[Math.min(count, steps.length) - 1] ?? MINUTE;
}

function jittered(ms: number, random: number): number {
  return Math.round(ms * (0.8 + 0.4 * random));
}
