/**
 * The pause that a recipient still owes after an attempt of an earlier process: a restart begins no schedule anew. A
 * recipient that was never tried, or whose mail goes to another destination now, owes none. A destination whose hops
 * refuse our login has a pause for all its mail, also for a message that comes first. Pure.
 */
import type { Failure } from '#crds/failure.ts';
import type { Backoff } from '#crds/policyfile.ts';
import type { Destination, Refusal } from '../delivery/courier.ts';
import type { Recipient } from '../spool/record.ts';
import { destinationRetryMs, failuresWithin, loginRetryMs, messageRetryMs } from './schedule.ts';
import { digestDestination } from './settlement.ts';

export interface Pause {
  /** Milliseconds. */
  readonly leftMs: number;
  /** An earlier process has tried it there. Absent: none has. */
  readonly wasTried?: boolean;
  /** For how long the destination was tried without a session. Undefined: it gave one. */
  readonly awayMs?: number;
}

export interface PauseTerms {
  readonly destination: Destination;
  readonly backoff: Backoff | null;
  /** Both in milliseconds since the epoch. */
  readonly receivedAt: number;
  readonly now: number;
  readonly random: number;
}

const NONE: Pause = { leftMs: 0 };

export function findPause({ triedAt, triedTo, away = false }: Recipient, terms: PauseTerms): Pause {
  const { destination, backoff, receivedAt, now, random } = terms;
  if (triedAt === undefined || (triedTo !== undefined && triedTo !== digestDestination(destination)))
    return NONE;
  const ageMs = Math.max(0, triedAt - receivedAt);
  const pauseMs = away
    ? destinationRetryMs(failuresWithin(ageMs, backoff) + 1, random, backoff)
    : messageRetryMs(ageMs, random, backoff);
  // Limited, because the wall clock may have changed since.
  const leftMs = Math.max(0, pauseMs - Math.max(0, now - triedAt));
  // A destination that answered was not away, however old its message is.
  return { leftMs, wasTried: true, ...(away ? { awayMs: ageMs } : {}) };
}

export interface LoginPause {
  readonly failure: Failure;
  readonly failures: number;
  /** By the monotonic clock. */
  readonly pausedUntil: number;
  /** In milliseconds since the epoch. */
  readonly failingSince: number;
}

export function findLoginPause(
  { failure, refusals, at, since }: Refusal,
  now: {
    readonly backoff: Backoff | null;
    readonly clock: number;
    readonly wall: number;
    readonly random: number;
  },
): LoginPause {
  return {
    failure,
    failures: refusals,
    pausedUntil: at + loginRetryMs(refusals, now.random, now.backoff),
    failingSince: now.wall - (now.clock - since),
  };
}
