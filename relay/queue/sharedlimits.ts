/**
 * The limits that all destinations of one provider share. A destination that only these limits stop waits in a line, and
 * the destinations in the line have their turn one delivery after the other. This file has no clock of its own.
 */
import type { Failure } from '#crds/failure.ts';
import type { Provider, Retry } from '#crds/policyfile.ts';
import { MINUTE_MS, type Pace, type Paces, type Rate } from './paces.ts';
import type { Limits, SlowDowns } from './slowdowns.ts';
import { warmUpRate } from './warmup.ts';

export interface SharedLimitsDeps {
  /** The clock for the day of a warm-up. */
  readonly wall: () => number;
  readonly slowDowns: SlowDowns;
  readonly paces: Paces;
}

export class SharedLimits {
  /** The time of the wake-up that is set. Infinity: none. */
  wakeAt = Number.POSITIVE_INFINITY;
  readonly #provider: Provider;
  readonly #wall: () => number;
  readonly #slowDowns: SlowDowns;
  readonly #pace: Pace;
  /** Deliveries under way. Each has one connection at most. */
  #underWay = 0;
  /** Keys of destinations with a delivery that is due. */
  readonly #line = new Set<string>();
  /** The first of the line. */
  #next: string | undefined;

  constructor(provider: Provider, { wall, slowDowns, paces }: SharedLimitsDeps) {
    this.#provider = provider;
    this.#wall = wall;
    this.#slowDowns = slowDowns;
    this.#pace = paces.openShared(this.#key);
  }

  get name(): string {
    return this.#provider.name;
  }

  /** null: as for all destinations. */
  get retry(): Retry | null {
    return this.#provider.retry;
  }

  /** The destination whose turn it is. Undefined if none waits. */
  get next(): string | undefined {
    return this.#next;
  }

  /** `now`, or the time when the next delivery may begin. Infinity: after another one has ended. */
  allowsAt(now: number): number {
    const { connections } = this.#limitsAt(now);
    if (connections !== null && this.#underWay >= connections) return Number.POSITIVE_INFINITY;
    return Math.max(now, ...this.#ratesAt(now).map((rate) => this.#pace.allowsAt(rate, now)));
  }

  /** True if a delivery of this destination may begin: the limits allow it, and no other destination has its turn. */
  admits(key: string, now: number): boolean {
    return (this.#next ?? key) === key && this.allowsAt(now) <= now;
  }

  /** A destination that waits already keeps its place. */
  wait(key: string): void {
    this.#line.add(key);
    this.#next ??= key;
  }

  leave(key: string): void {
    this.#line.delete(key);
    if (this.#next === key) [this.#next] = this.#line;
  }

  began(key: string, now: number): void {
    this.#underWay += 1;
    this.leave(key);
    const most = Math.max(0, ...this.#ratesAt(now).map((rate) => rate.most));
    if (most > 0) this.#pace.began(most, now);
  }

  /** A delivery that began at this time tried nothing: it costs no message, and the destination still has its turn. */
  giveBack(key: string, at: number): void {
    this.#pace.giveBack(at);
    this.#line.add(key);
    this.#next = key;
  }

  ended(): void {
    this.#underWay -= 1;
  }

  /** Halves the pace of the provider. True if it is halved now. */
  slowDown(failure: Failure, now: number): boolean {
    return this.#slowDowns.asked(this.#key, { name: this.name, underWay: this.#underWay, failure }, now);
  }

  /** Destinations have keys of another form. */
  get #key(): string {
    return `provider ${this.name}`;
  }

  #limitsAt(now: number): Limits {
    return this.#slowDowns.apply(this.#key, this.#provider.limits, now);
  }

  #ratesAt(now: number): readonly Rate[] {
    const { messagesPerMinute: most } = this.#limitsAt(now);
    if (most === null) return [];
    const warmUp = warmUpRate(this.#provider, this.#wall());
    return [{ most, windowMs: MINUTE_MS }, ...(warmUp ? [warmUp] : [])];
  }
}
