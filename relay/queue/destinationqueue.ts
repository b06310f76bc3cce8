/**
 * The queue of one destination: the waiting deliveries, the number under way, and whether the destination can be
 * reached. After a failure one delivery at a time probes it, with growing pauses. This file has no clock of its own.
 */
import type { Failure } from '#crds/failure.ts';
import type { DestinationLimits } from '#crds/policyfile.ts';
import type { Destination } from '../delivery/courier.ts';
import {
  type Answers,
  type DestinationHealth,
  findStanding,
  newHealth,
  noteAnswer,
  noteLoginPause,
  noteUnreached,
  type Unreached,
} from './health.ts';
import type { Paces } from './paces.ts';
import type { LoginPause } from './pause.ts';
import type { RestingQueue } from './restingqueue.ts';
import type { SharedLimits } from './sharedlimits.ts';
import type { Share, Standing } from './slots.ts';
import type { SlowDowns } from './slowdowns.ts';
import { type Round, type Waiting, WaitingMessages, type Wanted } from './waiting.ts';

/** Deliveries at a time to a destination without an answer so far. If it hangs, it blocks only a few slots. */
const UNPROVEN = 5;

export interface DestinationTerms {
  /** Of destinations whose route has no limits of its own. Each delivery has a connection. */
  readonly limits: DestinationLimits;
  readonly paces: Paces;
  readonly slowDowns: SlowDowns;
}

export class DestinationQueue {
  /** The time of the wake-up that is set. Infinity: none. */
  wakeAt = Number.POSITIVE_INFINITY;
  /** Limits of the provider. Undefined: the destination shares none. */
  shared: SharedLimits | undefined;
  readonly destination: Destination;
  readonly #terms: DestinationTerms;
  #configured: WaitingMessages | undefined;
  #other: WaitingMessages | undefined;
  /** Deliveries under way, with the time when each began. */
  #active: Map<string, number> | undefined;
  /** The share that was served last. The shares take turns. */
  #served: Share = 'other';
  readonly #health: DestinationHealth = newHealth();

  constructor(destination: Destination, terms: DestinationTerms, known?: Answers) {
    this.destination = destination;
    this.#terms = terms;
    Object.assign(this.#health, known);
  }

  static fromRest(
    { destination, waiting, health, wakeAt }: RestingQueue,
    terms: DestinationTerms,
  ): DestinationQueue {
    const queue = new DestinationQueue(destination, terms, health);
    queue.wakeAt = wakeAt;
    queue.#lineFor('other').add({ ...waiting, share: 'other' }, waiting.due);
    return queue;
  }

  /**
   * The whole queue, if nothing is under way and one message waits: one that was never tried, or that has the last
   * failure. Else undefined. Only a destination that a message named can be at rest.
   */
  get rest(): RestingQueue | undefined {
    const { destination, wakeAt } = this;
    if (destination.kind !== 'mx' || this.#underWay > 0 || this.#configured?.size) return undefined;
    const waiting = this.#other?.only;
    const health = this.#health;
    if (!waiting || waiting.round || (waiting.failure && waiting.failure !== health.failure))
      return undefined;
    return { destination, waiting, health, wakeAt };
  }

  /** Why a waiting message was last deferred. Undefined if none waits. */
  get failure(): Failure | undefined {
    return this.isIdle ? undefined : this.#health.failure;
  }

  /** Since when no message has left the queue (wall clock), while some wait. Undefined otherwise. */
  get failingSince(): number | undefined {
    return this.isIdle ? undefined : this.#health.failingSince;
  }

  get standing(): Standing {
    return findStanding(this.#health, this.#underWay);
  }

  get failures(): number {
    return this.#health.failures;
  }

  get known(): Answers | undefined {
    const { failures, answers, answeredAt } = this.#health;
    return failures === 0 && answers > 0 ? { answers, answeredAt } : undefined;
  }

  /** True if nothing waits and nothing is under way. */
  get isIdle(): boolean {
    return (this.#configured?.size ?? 0) + (this.#other?.size ?? 0) + this.#underWay === 0;
  }

  isDelivering(id: string): boolean {
    return this.#active?.has(id) === true;
  }

  add(waiting: Waiting, now: number): void {
    const other = waiting.share === 'configured' ? this.#other : this.#configured;
    if (!other?.has(waiting.id)) this.#lineFor(waiting.share).add(waiting, now);
  }

  /** Takes over the time for which an earlier process has tried without success. */
  learnAway(ms: number): void {
    this.#health.awayMs = Math.max(this.#health.awayMs, ms);
  }

  learnLoginPause(pause: LoginPause): void {
    noteLoginPause(this.#health, pause);
  }

  /** Takes the next delivery that may begin at `now`, or undefined. */
  begin(now: number, mayTake: (share: Share) => boolean): Waiting | undefined {
    if (!this.#mayBegin(now)) return undefined;
    const shares = this.#served === 'other' ? BY_TURN : BY_TURN.toReversed();
    for (const share of shares) {
      const waiting = mayTake(share) ? this.#line(share)?.next(now) : undefined;
      if (waiting) return this.#began(waiting, now);
    }
    return undefined;
  }

  /** A delivery that began at this time tried nothing, so it costs no message of the pace. */
  giveBack(at: number): void {
    this.#terms.paces.giveBack(this.destination, at);
  }

  ended({ id }: Waiting): void {
    this.#active?.delete(id);
    if (this.#active?.size === 0) this.#active = undefined;
  }

  /** True if only a missing slot of this share stops the next delivery. */
  wantsSlot(share: Share, now: number): boolean {
    const due = this.#mayBegin(now) ? this.#line(share)?.nextDue(now) : undefined;
    return due !== undefined && due <= now;
  }

  /** True if only the limits of the provider stop the next delivery. */
  wantsTurn(now: number): boolean {
    const { shared } = this;
    if (!shared || shared.admits(this.destination.key, now) || !this.#mayBeginAlone(now)) return false;
    return BY_TURN.some((share) => (this.#line(share)?.nextDue(now) ?? Number.POSITIVE_INFINITY) <= now);
  }

  /** When to check again. Undefined while deliveries are under way or nothing waits. */
  nextLook(now: number): number | undefined {
    if (this.#underWay >= this.#allowedAt(now)) return undefined;
    const dues = BY_TURN.flatMap((share) => this.#line(share)?.nextDue(now) ?? []);
    if (dues.length === 0) return undefined;
    return Math.max(Math.min(...dues), this.#health.pausedUntil, this.#paceAllowsAt(now));
  }

  /** The time of this message's next attempt. Undefined if it does not wait here. */
  findDue(id: string, now: number): number | undefined {
    const due = this.#get(id)?.due;
    return due === undefined ? undefined : Math.max(due, this.#health.pausedUntil, now);
  }

  /** Why this message waits: its own failure if only a person can mend it; else that of its destination, or its own. */
  failureFor(id: string): Failure | undefined {
    const own = this.#get(id)?.failure;
    // What answers has no failure of its own: the last one is that of another message.
    return own?.cause === 'local' || this.#health.failures === 0 ? own : this.#health.failure;
  }

  /**
   * True if this message was tried, or if a probe failed that began when it was due, and no session that began before is
   * still open: a host may refuse some connections of many. Only then may it expire, and only if neither it nor its destination
   * waits for a person. A refused login is a matter of the destination alone.
   */
  mayExpire(id: string, now: number): boolean {
    const waiting = this.#get(id);
    if (!waiting || now < this.#health.keepsMailUntil) return false;
    if (waiting.failure) return waiting.failure.cause !== 'local';
    const { failedAt } = this.#health;
    const mayAnswer = this.#active?.values().some((began) => began <= failedAt) === true;
    return waiting.due <= failedAt && !mayAnswer;
  }

  /** No message leaves the queue from now on, or still none. */
  fails(wallNow: number): void {
    this.#health.failingSince ??= wallNow;
  }

  /** A message has left the queue: it was delivered or finally refused. */
  settled(): void {
    this.#health.failingSince = undefined;
  }

  /** The next hop asks for fewer messages. True if the pace is halved now: that of the provider, or of the destination. */
  slowDown(failure: Failure, now: number): boolean {
    const { name } = this.destination;
    const request = { name, underWay: this.#underWay, failure };
    return this.shared?.slowDown(failure, now) ?? this.#terms.slowDowns.asked(name, request, now);
  }

  answered(now: number): void {
    noteAnswer(this.#health, now);
    for (const share of BY_TURN) this.#line(share)?.reached(Math.max(this.#health.pausedUntil, now));
  }

  /**
   * All messages wait. A delivery without a session may go after the pause, because its message is not the reason; one
   * with a session waits until `due`.
   */
  unreachable(waiting: Waiting, unreached: Unreached): void {
    noteUnreached(this.#health, unreached, this.#active?.get(waiting.id) ?? -1);
    const { due = 0, failure, round, hadSession } = unreached;
    this.putOff(waiting, Math.max(this.#health.pausedUntil, due), failure, round, !hadSession);
  }

  /** Sets the delivery's next attempt to `due`, and the round that it begins with. `isAway`: as in Waiting. */
  putOff({ id, share }: Waiting, due: number, failure: Failure, round?: Round, isAway?: boolean): void {
    this.#health.failure = failure;
    const more = { ...(round ? { round } : {}), ...(isAway ? { isAway } : {}) };
    this.#lineFor(share).add({ id, share, due, failure, ...more }, due);
  }

  /** Makes what `wanted` selects due now, for which only later probes count, and ends a pause. True if any waits here. */
  hurry(wanted: Wanted, now: number): boolean {
    const shares = BY_TURN.filter((share) => this.#line(share)?.hurry(wanted, this.#health.failure));
    if (shares.length === 0) return false;
    Object.assign(this.#health, { pausedUntil: now, failedAt: -1 });
    this.#served = shares.includes('configured') ? 'other' : 'configured';
    return true;
  }

  #line(share: Share): WaitingMessages | undefined {
    return share === 'configured' ? this.#configured : this.#other;
  }

  #limitsAt(now: number): DestinationLimits {
    const { name, limits = this.#terms.limits } = this.destination;
    return this.#terms.slowDowns.applyToDestination(name, limits, now);
  }

  get #underWay(): number {
    return this.#active?.size ?? 0;
  }

  #allowedAt(now: number): number {
    if (this.#health.failures > 0) return 1;
    return Math.min(this.#limitsAt(now).connectionsPerDestination, UNPROVEN + this.#health.answers);
  }

  #lineFor(share: Share): WaitingMessages {
    const line = this.#line(share) ?? new WaitingMessages(share);
    if (share === 'configured') this.#configured = line;
    else this.#other = line;
    return line;
  }

  #get(id: string): Waiting | undefined {
    return this.#configured?.get(id) ?? this.#other?.get(id);
  }

  #mayBegin(now: number): boolean {
    return this.#mayBeginAlone(now) && this.shared?.admits(this.destination.key, now) !== false;
  }

  /** True if no limit of the destination itself stops the next delivery. */
  #mayBeginAlone(now: number): boolean {
    if (now < this.#health.pausedUntil || this.#underWay >= this.#allowedAt(now)) return false;
    return now >= this.#paceAllowsAt(now);
  }

  #began(waiting: Waiting, now: number): Waiting {
    this.#active ??= new Map();
    this.#active.set(waiting.id, now);
    const { messagesPerDestinationPerMinute: most } = this.#limitsAt(now);
    if (most !== null) this.#terms.paces.began(this.destination, most, now);
    this.#served = waiting.share;
    return waiting;
  }

  #paceAllowsAt(now: number): number {
    const { messagesPerDestinationPerMinute: most } = this.#limitsAt(now);
    return most === null ? now : this.#terms.paces.allowsAt(this.destination, most, now);
  }
}

const BY_TURN: readonly Share[] = ['configured', 'other'];
