/**
 * The pause that a recipient still owes after an attempt of an earlier process: a restart begins no schedule anew. A
 * recipient that was never tried, or whose mail goes to another destination now, owes none. Pure.
 */
import type { Backoff } from '#crds/policyfile.ts';
import type { Destination } from '../delivery/courier.ts';
import type { Recipient } from '../spool/record.ts';
import { destinationRetryMs, failuresWithin, messageRetryMs } from './schedule.ts';
import { digestDestination } from './settlement.ts';

export interface Pause {
  /** Milliseconds. */
  readonly leftMs: number;
  /** For how long the destination was tried without a session. */
  readonly awayMs: number;
}

export interface PauseTerms {
  readonly destination: Destination;
  readonly backoff: Backoff | null;
  /** Both in milliseconds since the epoch. */
  readonly receivedAt: number;
  readonly now: number;
  readonly random: number;
}

const NONE: Pause = { leftMs: 0, awayMs: 0 };

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
  return { leftMs, awayMs: away ? ageMs : 0 };
}
