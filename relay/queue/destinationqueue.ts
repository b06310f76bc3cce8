/**
 * One destination: the deliveries that wait for it, how many are under way, and whether it can be reached. A
 * destination that failed is probed by one delivery at a growing pace; what waits for it waits, and nothing else does.
 * No clock of its own.
 */

import type { Failure } from '#crds/failure.ts';
import type { Destination } from '../delivery/courier.ts';
import { type Waiting, WaitingMessages } from './waiting.ts';

const MINUTE_MS = 60_000;
/** Deliveries at a time to a destination that has not answered yet: one that hangs must not keep many. */
const UNPROVEN = 5;

export interface DestinationLimits {
  /** Deliveries, and so connections, at a time. */
  readonly concurrent: number;
  /** Deliveries begun in a minute; null: unlimited. */
  readonly perMinute: number | null;
}

/**
 * What a queue asks for: a delivery to a destination that answers; the first of one that has not answered yet, or no
 * longer; or a further one of these.
 */
export type Standing = 'proven' | 'first' | 'further';

export class DestinationQueue {
  readonly destination: Destination;
  readonly #limits: DestinationLimits;
  readonly #line = new WaitingMessages();
  readonly #active = new Set<string>();
  #failures = 0;
  #answers = 0;
  #isUntried = true;
  #pausedUntil = 0;
  #failure: Failure | undefined;
  #minute = 0;
  #begun = 0;

  constructor(destination: Destination, limits: DestinationLimits) {
    this.destination = destination;
    this.#limits = limits;
  }

  /** Why something here was put off last, while something waits. */
  get failure(): Failure | undefined {
    return this.isIdle ? undefined : this.#failure;
  }

  /** Nothing has come of any attempt yet, so there is no reason to give for what waits. */
  get isUntried(): boolean {
    return this.#isUntried;
  }

  get standing(): Standing {
    if (this.#answers > 0 && this.#failures === 0) return 'proven';
    return this.#active.size === 0 ? 'first' : 'further';
  }

  get failures(): number {
    return this.#failures;
  }

  /** True when nothing is known of this destination that is worth keeping. */
  get isIdle(): boolean {
    return this.#line.size + this.#active.size === 0;
  }

  isDelivering(id: string): boolean {
    return this.#active.has(id);
  }

  add(waiting: Waiting): void {
    this.#line.add(waiting);
  }

  /** Takes the next delivery that may begin at `now`, or undefined. */
  begin(now: number): Waiting | undefined {
    if (now < this.#pausedUntil || this.#active.size >= this.#allowed || now < this.#rateAllowsAt(now))
      return undefined;
    const waiting = this.#line.next(now);
    if (!waiting) return undefined;
    this.#active.add(waiting.id);
    this.#begun += 1;
    return waiting;
  }

  ended({ id }: Waiting): void {
    this.#isUntried = false;
    this.#active.delete(id);
  }

  /** When to look again: undefined while deliveries are under way or nothing waits. */
  nextLook(now: number): number | undefined {
    const due = this.#line.nextDue(now);
    if (due === undefined || this.#active.size >= this.#allowed) return undefined;
    return Math.max(due, this.#pausedUntil, this.#rateAllowsAt(now));
  }

  /** When this message is tried next; undefined where it does not wait here. */
  dueOf(id: string, now: number): number | undefined {
    const due = this.#line.dueOf(id, now);
    return due === undefined ? undefined : Math.max(due, this.#pausedUntil);
  }

  /** Why this message waits: that of the destination where nobody can be had, else its own. */
  failureFor(id: string): Failure | undefined {
    const own = this.#failures > 0 ? undefined : this.#line.failureOf(id);
    return own ?? this.#failure;
  }

  answered(): void {
    this.#answers += 1;
    this.#failures = 0;
    this.#failure = undefined;
  }

  /**
   * The destination took nothing: everything for it waits. A delivery that got no session did nothing wrong and goes
   * first when the pause is over; one that had a session may itself be why it ended, and waits until `due`. Deliveries
   * that had begun before the pause tell nothing new.
   */
  unreachable(
    waiting: Waiting,
    failure: Failure,
    { pauseMs, due, now }: { pauseMs: (failures: number) => number; due: number | undefined; now: number },
  ): void {
    if (now >= this.#pausedUntil) {
      this.#failures += 1;
      this.#pausedUntil = now + pauseMs(this.#failures);
    }
    this.#failure = failure;
    this.#active.delete(waiting.id);
    this.#line.putOff(waiting, Math.max(this.#pausedUntil, due ?? 0));
  }

  /** The delivery itself is tried again at `due`. */
  putOff(waiting: Waiting, due: number, failure: Failure): void {
    this.#failure = failure;
    this.#active.delete(waiting.id);
    this.#line.putOff({ ...waiting, failure }, due);
  }

  /** It is wanted now: those that `wanted` names are due, and a pause ends. True where any of them waits here. */
  hurry(wanted: (id: string) => boolean): boolean {
    const any = this.#line.hurry(wanted);
    if (any) this.#pausedUntil = 0;
    return any;
  }

  get #allowed(): number {
    return this.#failures > 0 ? 1 : Math.min(this.#limits.concurrent, UNPROVEN + this.#answers);
  }

  /** `now`, or the next minute where this one is used up. */
  #rateAllowsAt(now: number): number {
    const { perMinute } = this.#limits;
    const minute = Math.floor(now / MINUTE_MS);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#begun = 0;
    }
    return perMinute !== null && this.#begun >= perMinute ? (minute + 1) * MINUTE_MS : now;
  }
}
