/**
 * Whether a destination can be reached: what its answers and its failed attempts say, until when it has a pause, and until
 * when its mail may not expire. This file has no clock of its own.
 */
import type { Failure, FailureCause } from '#crds/failure.ts';
import type { Backoff } from '#crds/policyfile.ts';
import type { LoginPause } from './pause.ts';
import { failuresWithin } from './schedule.ts';
import type { Standing } from './slots.ts';
import type { Round } from './waiting.ts';

/** Mail that waits for one of these waits for a person: the next hop has not refused it, so it does not expire. */
const WAITS_FOR_PERSON: ReadonlySet<FailureCause> = new Set(['login', 'local']);
/** After such a failure, other failures must go on for this time before mail expires. A single one proves little. */
const GRACE_MS = 24 * 60 * 60_000;
/** A host that has answered within this time is there, although it may take no more connections in this minute. */
const THERE_MS = 10 * 60_000;

/** What is remembered of a destination for which nothing waits. */
export interface Answers {
  answers: number;
  /** The time of the last answer. */
  answeredAt: number;
}

export interface DestinationHealth extends Answers {
  /** Probes in a row without success. */
  failures: number;
  /** How long an earlier process has tried the waiting messages without success. */
  awayMs: number;
  pausedUntil: number;
  /** The end of the same pause if it were the first one. Not packed: only an answer of a delivery under way needs it. */
  firstPauseUntil?: number;
  /** When the last probe began that could not reach the destination. */
  failedAt: number;
  /** Why a message was last deferred. */
  failure: Failure | undefined;
  /** Since when no message has left the queue (wall clock). */
  failingSince: number | undefined;
  /** No mail expires before this time. Infinity: the last failure waits for a person. */
  keepsMailUntil: number;
}

/** The result of an attempt in which no message was taken. */
export interface Unreached {
  readonly failure: Failure;
  /** There was a session and it ended, perhaps because of the message. */
  readonly hadSession: boolean;
  readonly pauseMs: (failures: number) => number;
  readonly backoff: Backoff | null;
  /** The time of the message's own next attempt. */
  readonly due: number | undefined;
  /** What the next attempt begins with. */
  readonly round?: Round | undefined;
  readonly now: number;
}

export function newHealth(): DestinationHealth {
  return {
    failures: 0,
    answers: 0,
    answeredAt: -THERE_MS,
    awayMs: 0,
    pausedUntil: 0,
    failedAt: -1,
    failure: undefined,
    failingSince: undefined,
    keepsMailUntil: 0,
  };
}

/** An earlier process may have failed too. */
export function findStanding({ failures, answers, awayMs }: DestinationHealth, underWay: number): Standing {
  if (failures > 0) return 'probe';
  if (answers > 0) return 'proven';
  if (underWay > 0) return 'further';
  return awayMs > 0 ? 'probe' : 'first';
}

/**
 * A delivery that began before a failure may bring an answer after it. The destination is there, so no more is left than
 * a first pause. That one stays, because a host may refuse some connections of many.
 */
export function noteAnswer(health: DestinationHealth, now: number): void {
  health.answers += 1;
  health.answeredAt = now;
  health.failures = 0;
  health.awayMs = 0;
  health.pausedUntil = Math.min(health.pausedUntil, health.firstPauseUntil ?? 0);
  health.failedAt = -1;
  health.failure = undefined;
  health.keepsMailUntil = 0;
}

/** The hops have refused our login before this queue was there: its pause goes on, and its mail does not expire. */
export function noteLoginPause(health: DestinationHealth, pause: LoginPause): void {
  Object.assign(health, pause);
  health.keepsMailUntil = Number.POSITIVE_INFINITY;
}

function waitsForPerson({ cause }: Failure): boolean {
  return WAITS_FOR_PERSON.has(cause);
}

/** `began`: when the attempt began. */
export function noteUnreached(
  health: DestinationHealth,
  { failure, pauseMs, backoff, now }: Unreached,
  began: number,
): void {
  // Of sessions that are begun together, one may break because of its message, and a host may refuse some of many. That
  // a probe fails too shows a fault of the destination.
  const isNew = began >= health.pausedUntil;
  const isProbe = isNew && health.failures > 0;
  if (isProbe && began >= health.answeredAt + THERE_MS) health.failedAt = Math.max(health.failedAt, began);
  if (waitsForPerson(failure)) health.keepsMailUntil = Number.POSITIVE_INFINITY;
  else health.keepsMailUntil = Math.min(health.keepsMailUntil, now + GRACE_MS);
  // What began before the last pause, or before a person wanted mail tried now, keeps no later probe back. It shows that
  // one at a time is enough.
  if (!isNew) {
    if (now >= health.pausedUntil) health.failures = Math.max(health.failures, 1);
  } else {
    health.failures = Math.max(health.failures, failuresWithin(health.awayMs, backoff)) + 1;
    health.pausedUntil = now + pauseMs(health.failures);
    health.firstPauseUntil = health.failures === 1 ? health.pausedUntil : now + pauseMs(1);
  }
}
