/**
 * The retry schedule. The pause of a deferred message grows with its age, up to half an hour. It depends only on the
 * age, so it survives a restart. An unreachable destination is probed after one second at first, at least every half
 * minute for the first five minutes, and every quarter of an hour in the end. So mail leaves soon after the destination
 * is back. The spec may give a backoff to a route or a provider: both pauses then grow from its least to its most.
 * Jitter changes each pause by up to a fifth, within the backoff of the spec. Pure: the randomness is an argument.
 * sweep.ts ends the retries.
 */
import type { Backoff } from '#crds/policyfile.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
/** A message that is deferred each time has attempts 0, 1, 3, 8, 18 and 38 minutes after arrival, plus or minus a fifth. */
export const USUAL_BACKOFF: Backoff = { minSeconds: 60, maxSeconds: 30 * 60 };
/** Pauses as multiples of the least one. */
const GROWTH = [1, 2, 5, ...Array.from({ length: 28 }, (_, index) => 10 * 2 ** index)];
/** The multiple for each age. The bounds lie in the middle between two attempts, so jitter leads to no other one. */
const MESSAGE_STEPS = GROWTH.map((pause, index) => ({
  toAge: GROWTH.slice(0, index).reduce((sum, one) => sum + one, 0) + pause / 2,
  pause,
}));
const LOGIN_STEPS = [1, 2, 5, 10, 20, 30].map((minutes) => minutes * MINUTE);
const PROBE_STEPS = [
  ...[1, 2, 4, 8, 16].map((seconds) => seconds * SECOND),
  ...Array.from({ length: 9 }, () => 30 * SECOND),
  ...[1, 2, 4, 8, 15].map((minutes) => minutes * MINUTE),
];

/** Milliseconds until the next attempt of a message that was deferred at this age. `random` is in [0, 1). */
export function messageRetryMs(ageMs: number, random: number, backoff: Backoff | null = null): number {
  const { minSeconds, maxSeconds } = backoff ?? USUAL_BACKOFF;
  const age = ageMs / (minSeconds * SECOND);
  const growth = MESSAGE_STEPS.find(({ toAge }) => age < toAge)?.pause ?? Number.POSITIVE_INFINITY;
  return jittered(Math.min(growth * minSeconds, maxSeconds) * SECOND, random, backoff);
}

/** Milliseconds until the next probe of a destination after `failures` (from 1) in a row. */
export function destinationRetryMs(failures: number, random: number, backoff: Backoff | null = null): number {
  return jittered(chooseStep(listProbes(backoff), failures), random, backoff);
}

/** The same for a refused login: many wrong logins in a row may lock an account, so no backoff makes them more. */
export function loginRetryMs(failures: number, random: number, backoff: Backoff | null = null): number {
  const usual = jittered(chooseStep(LOGIN_STEPS, failures), random, null);
  return backoff ? Math.max(usual, destinationRetryMs(failures, random, backoff)) : usual;
}

/** How many failed probes a destination has had that was unreachable for this time. */
export function failuresWithin(ms: number, backoff: Backoff | null = null): number {
  let left = ms;
  const steps = listProbes(backoff);
  const failures = steps.findIndex((pause) => {
    left -= pause;
    return left < 0;
  });
  return failures === -1 ? steps.length : failures;
}

/** The growing pauses of a backoff in seconds, its most last. */
export function listPauses({ minSeconds, maxSeconds }: Backoff): number[] {
  const growing = GROWTH.map((growth) => growth * minSeconds).filter((pause) => pause < maxSeconds);
  return [...growing, maxSeconds];
}

function listProbes(backoff: Backoff | null): readonly number[] {
  return backoff ? listPauses(backoff).map((pause) => pause * SECOND) : PROBE_STEPS;
}

function chooseStep(steps: readonly number[], count: number): number {
  return steps[Math.min(count, steps.length) - 1] ?? MINUTE;
}

function jittered(ms: number, random: number, backoff: Backoff | null): number {
  const least = Math.max(0.8 * ms, (backoff?.minSeconds ?? 0) * SECOND);
  const most = Math.min(1.2 * ms, (backoff?.maxSeconds ?? Number.POSITIVE_INFINITY) * SECOND);
  return Math.round(least + (most - least) * random);
}
