/**
 * One destination: the deliveries that wait for it, how many are under way, and whether it can be reached. A
 * destination that failed is probed by one delivery at a growing pace; what waits for it waits, and nothing else does.
 * No clock of its own.
 */

import { type Waiting, WaitingLine } from './queue.ts';
import type { Destination } from './route.ts';

const CONCURRENT = 20;

export class Lane {
  readonly destination: Destination;
  readonly #line = new WaitingLine();
  #active = 0;
  #failures = 0;
  #pausedUntil = 0;
  #deferral: string | undefined;

  constructor(destination: Destination) {
    this.destination = destination;
  }

  /** The last reason why something here was put off, while something waits. */
  get deferral(): string | undefined {
    return this.#line.size + this.#active > 0 ? this.#deferral : undefined;
  }

  get failures(): number {
    return this.#failures;
  }

  /** True when nothing is known of this destination that is worth keeping. */
  get isIdle(): boolean {
    return this.#line.size + this.#active === 0;
  }

  add(waiting: Waiting): void {
    this.#line.add(waiting);
  }

  /** Takes the next delivery that may begin at `now`, or undefined. */
  begin(now: number): Waiting | undefined {
    if (now < this.#pausedUntil || this.#active >= this.#allowed) return undefined;
    const waiting = this.#line.next(now);
    if (waiting) this.#active += 1;
    return waiting;
  }

  ended(): void {
    this.#active -= 1;
  }

  /** When to look again: undefined while deliveries are under way or nothing waits. */
  nextLook(now: number): number | undefined {
    const due = this.#line.nextDue(now);
    if (due === undefined || this.#active >= this.#allowed) return undefined;
    return Math.max(due, this.#pausedUntil);
  }

  answered(): void {
    this.#failures = 0;
    this.#deferral = undefined;
  }

  /**
   * The destination gave no session: the delivery did nothing wrong and goes first when the pause is over. Deliveries
   * that had begun before the pause tell nothing new.
   */
  unreachable(waiting: Waiting, reason: string, pauseMs: (failures: number) => number, now: number): void {
    if (now >= this.#pausedUntil) {
      this.#failures += 1;
      this.#pausedUntil = now + pauseMs(this.#failures);
    }
    this.#deferral = reason;
    this.#line.putOff(waiting, this.#pausedUntil);
  }

  /** The delivery itself is tried again at `due`. */
  putOff(waiting: Waiting, due: number, reason: string): void {
    this.#deferral = reason;
    this.#line.putOff(waiting, due);
  }

  get #allowed(): number {
    return this.#failures > 0 ? 1 : CONCURRENT;
  }
}
