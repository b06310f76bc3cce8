/**
 * The retry schedule. The pause of a deferred message grows with its age, up to half an hour. It depends only on the
 * age, so it survives a restart. An unreachable destination is probed after one second at first, at least every half
 * minute for the first five minutes, and every quarter of an hour in the end. So mail leaves soon after the destination
 * is back. Jitter changes each pause by up to a fifth. Pure: the randomness is an argument. sweep.ts ends the retries.
 */
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
/**
 * The pauses of a message that is deferred each time. The attempts are 0, 1, 3, 8, 18 and 38 minutes after arrival,
 * plus or minus a fifth.
 */
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

/** Milliseconds until the next attempt of a message that was deferred at this age. `random` is in [0, 1). */
export function messageRetryMs(ageMs: number, random: number): number {
  const pause = MESSAGE_STEPS.find(({ toAge }) => ageMs < toAge)?.pause ?? MESSAGE_AT_MOST;
  return jittered(pause, random);
}

/** Milliseconds until the next probe of a destination after `failures` (from 1) in a row. */
export function destinationRetryMs(failures: number, random: number): number {
  return jittered(chooseStep(PROBE_STEPS, failures), random);
}

/** The same for a refused login: many wrong logins in a row may lock an account. */
export function loginRetryMs(failures: number, random: number): number {
  return jittered(chooseStep(LOGIN_STEPS, failures), random);
}

/** How many failed probes a destination has had that was unreachable for this time. */
export function failuresWithin(ms: number): number {
  let left = ms;
  const failures = PROBE_STEPS.findIndex((pause) => {
    left -= pause;
    return left < 0;
  });
  return failures === -1 ? PROBE_STEPS.length : failures;
}

function chooseStep(steps: readonly number[], count: number): number {
  return steps[Math.min(count, steps.length) - 1] ?? MINUTE;
}

function jittered(ms: number, random: number): number {
  return Math.round(ms * (0.8 + 0.4 * random));
}
