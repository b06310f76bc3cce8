/**
 * One destination: the deliveries that wait for it, how many are under way, and whether it can be reached. A
 * destination that failed is probed by one delivery at a growing pace; what waits for it waits, and nothing else does.
 * No clock of its own.
 */

import type { Failure } from '#crds/failure.ts';
import type { Destination } from '../delivery/courier.ts';
import type { Paces } from './paces.ts';
import { failuresWithin } from './schedule.ts';
import type { Share, Standing } from './slots.ts';
import { type Waiting, WaitingMessages } from './waiting.ts';
import type { Sleeper } from './wakeups.ts';

/** Deliveries at a time to a destination that has not answered yet: one that hangs must not keep many. */
const UNPROVEN = 5;

export interface DestinationTerms {
  /** Deliveries, and so connections, at a time. */
  readonly concurrent: number;
  /** undefined: as many in a minute as it takes. */
  readonly paces: Paces | undefined;
}

/** What came of a session that took nothing. */
export interface Unreached {
  readonly failure: Failure;
  /** The session was there, and ended: maybe because of the message. */
  readonly hadSession: boolean;
  readonly pauseMs: (failures: number) => number;
  /** When the message itself may go again. */
  readonly due: number | undefined;
  readonly now: number;
}

export class DestinationQueue implements Sleeper {
  wakeAt = 0;
  place = -1;
  readonly destination: Destination;
  readonly #terms: DestinationTerms;
  #configured: WaitingMessages | undefined;
  #other: WaitingMessages | undefined;
  /** With the time at which each began. */
  #active: Map<string, number> | undefined;
  /** Which share was served last: they take turns. */
  #served: Share = 'other';
  #failures = 0;
  #answers = 0;
  /** For how long what waits here has been tried in vain, as an earlier process found. */
  #awayMs = 0;
  #pausedUntil = 0;
  /** When the last session began that found nobody there. */
  #failedAt = -1;
  #failure: Failure | undefined;
  #failingSince: number | undefined;

  constructor(destination: Destination, terms: DestinationTerms, answers = 0) {
    this.destination = destination;
    this.#terms = terms;
    this.#answers = answers;
  }

  /** Why something here was put off last, while something waits. */
  get failure(): Failure | undefined {
    return this.isIdle ? undefined : this.#failure;
  }

  /** Since when nothing went out, by the wall clock, while something waits. */
  get failingSince(): number | undefined {
    return this.isIdle ? undefined : this.#failingSince;
  }

  get standing(): Standing {
    if (this.#answers > 0 && this.#failures === 0) return 'proven';
    return this.#underWay === 0 ? 'first' : 'further';
  }

  get failures(): number {
    return this.#failures;
  }

  get answers(): number {
    return this.#failures > 0 ? 0 : this.#answers;
  }

  /** Nothing waits and nothing is under way. */
  get isIdle(): boolean {
    return (this.#configured?.size ?? 0) + (this.#other?.size ?? 0) + this.#underWay === 0;
  }

  isDelivering(id: string): boolean {
    return this.#active?.has(id) === true;
  }

  add(waiting: Waiting): void {
    const other = waiting.share === 'configured' ? this.#other : this.#configured;
    if (!other?.has(waiting.id)) this.#lineFor(waiting.share).add(waiting);
  }

  /** What was put off by an earlier process, after it had tried for so long. */
  learnAway(ms: number): void {
    this.#awayMs = Math.max(this.#awayMs, ms);
  }

  /** Takes the next delivery that may begin at `now`, or undefined. */
  begin(now: number, mayTake: (share: Share) => boolean): Waiting | undefined {
    if (!this.#mayBegin(now)) return undefined;
    const shares = this.#served === 'other' ? BY_TURN : BY_TURN.toReversed();
    for (const share of shares) {
      const waiting = mayTake(share) ? this.#lines[share]?.next(now) : undefined;
      if (waiting) return this.#began(waiting, now);
    }
    return undefined;
  }

  ended({ id }: Waiting): void {
    this.#active?.delete(id);
    if (this.#active?.size === 0) this.#active = undefined;
  }

  /** True where only the want of a slot of this share keeps a delivery back. */
  wantsSlot(share: Share, now: number): boolean {
    const due = this.#mayBegin(now) ? this.#lines[share]?.nextDue(now) : undefined;
    return due !== undefined && due <= now;
  }

  /** When to look again: undefined while deliveries are under way or nothing waits. */
  nextLook(now: number): number | undefined {
    if (this.#underWay >= this.#allowed) return undefined;
    const dues = BY_TURN.flatMap((share) => this.#lines[share]?.nextDue(now) ?? []);
    if (dues.length === 0) return undefined;
    return Math.max(Math.min(...dues), this.#pausedUntil, this.#paceAllowsAt(now));
  }

  /** When this message is tried next; undefined where it does not wait here. */
  dueOf(id: string, now: number): number | undefined {
    const due = this.#get(id)?.due;
    return due === undefined ? undefined : Math.max(due, this.#pausedUntil, now);
  }

  /** Why this message waits: that of the destination where nobody can be had, else its own. */
  failureFor(id: string): Failure | undefined {
    const own = this.#failures > 0 ? undefined : this.#get(id)?.failure;
    return own ?? this.#failure;
  }

  /** It was tried itself, or a session failed that began when it was due: it may be given up. */
  hadItsChance(id: string): boolean {
    const waiting = this.#get(id);
    if (!waiting) return false;
    return waiting.failure !== undefined || (waiting.due > 0 && waiting.due <= this.#failedAt);
  }

  /** Nothing goes out, from now on or for longer. */
  fails(wallNow: number): void {
    this.#failingSince ??= wallNow;
  }

  /** Something left the queue: it was taken, or refused for good. */
  settled(): void {
    this.#failingSince = undefined;
  }

  answered(): void {
    this.#answers += 1;
    this.#failures = 0;
    this.#awayMs = 0;
    this.#failedAt = -1;
    this.#failure = undefined;
  }

  /**
   * The destination took nothing: everything for it waits. A delivery that got no session did nothing wrong and goes
   * first when the pause is over; one that had a session may itself be why it ended, and waits until `due`. Deliveries
   * that had begun before the pause tell nothing new.
   */
  unreachable(waiting: Waiting, { failure, hadSession, pauseMs, due = 0, now }: Unreached): void {
    if (now >= this.#pausedUntil) {
      this.#failures = Math.max(this.#failures, failuresWithin(this.#awayMs)) + 1;
      this.#pausedUntil = now + pauseMs(this.#failures);
    }
    // The first session that ends may end because of its message; a second one tells of the destination.
    if (!hadSession || this.#failures > 1)
      this.#failedAt = Math.max(this.#failedAt, this.#active?.get(waiting.id) ?? -1);
    this.putOff(waiting, Math.max(this.#pausedUntil, due), failure);
  }

  /** The delivery itself is tried again at `due`. */
  putOff({ id, share }: Waiting, due: number, failure: Failure): void {
    this.#failure = failure;
    this.#lineFor(share).add({ id, share, due, failure });
  }

  /** It is wanted now: those that `wanted` names are due, and a pause ends. True where any of them waits here. */
  hurry(wanted: (id: string, failure?: Failure) => boolean): boolean {
    const any = BY_TURN.filter((share) => this.#lines[share]?.hurry(wanted)).length > 0;
    if (any) this.#pausedUntil = 0;
    return any;
  }

  get #lines(): Readonly<Record<Share, WaitingMessages | undefined>> {
    return { configured: this.#configured, other: this.#other };
  }

  get #underWay(): number {
    return this.#active?.size ?? 0;
  }

  get #allowed(): number {
    return this.#failures > 0 ? 1 : Math.min(this.#terms.concurrent, UNPROVEN + this.#answers);
  }

  #lineFor(share: Share): WaitingMessages {
    const line = this.#lines[share] ?? new WaitingMessages(share);
    if (share === 'configured') this.#configured = line;
    else this.#other = line;
    return line;
  }

  #get(id: string): Waiting | undefined {
    return this.#configured?.get(id) ?? this.#other?.get(id);
  }

  #mayBegin(now: number): boolean {
    return now >= this.#pausedUntil && this.#underWay < this.#allowed && now >= this.#paceAllowsAt(now);
  }

  #began(waiting: Waiting, now: number): Waiting {
    this.#active ??= new Map();
    this.#active.set(waiting.id, now);
    this.#terms.paces?.began(this.destination.key, now);
    this.#served = waiting.share;
    return waiting;
  }

  #paceAllowsAt(now: number): number {
    return this.#terms.paces?.allowsAt(this.destination.key, now) ?? now;
  }
}

const BY_TURN: readonly Share[] = ['configured', 'other'];
