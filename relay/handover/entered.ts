/**
 * The ids of the entries that a receiver has entered, for as long as a giver may offer one again because no
 * acknowledgement reached it. The router may deliver and remove one within milliseconds, so the store alone cannot tell
 * that it was here. Pure.
 */
import { Recent } from '../task/recent.ts';
import { UNANSWERED_MS } from './entry.ts';

/** The time of a giver begins when it stops to wait for an answer. */
const KEPT_MS = UNANSWERED_MS + 2 * 60_000;
/** Some ten megabytes. */
const AT_MOST = 100_000;

export class Entered extends Recent {
  /** Milliseconds of a monotonic clock. */
  constructor(clock: () => number, atMost = AT_MOST) {
    super(clock, KEPT_MS, atMost);
  }
}
