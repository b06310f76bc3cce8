/**
 * Hops whose replies to commands that left together could not be told apart (hopanswers.ts). They get one command at a time
 * for a day: mail to them would wait again and again otherwise. Not for ever, because a network that fails in the middle of a
 * dialogue looks the same.
 */
import { monotonic } from '../task/clock.ts';
import { dropOldest } from '../task/oldest.ts';
import type { NextHop } from './courier.ts';
import type { HopConnection } from './hopconnection.ts';

/** Those that were kept first are forgotten first. */
const MOST_HOPS = 1000;
export const KEPT_MS = 86_400_000;

const keyOf = ({ host, port }: NextHop) => `${host}:${port}`;

export class UnpipelinedHops {
  readonly #clock: () => number;
  /** Until when. */
  readonly #kept = new Map<string, number>();

  constructor(clock = monotonic) {
    this.#clock = clock;
  }

  prepare(hop: NextHop, connection: Pick<HopConnection, 'stopPipelining'>): void {
    const until = this.#kept.size > 0 ? this.#kept.get(keyOf(hop)) : undefined;
    if (until === undefined) return;
    if (this.#clock() < until) connection.stopPipelining();
    else this.#kept.delete(keyOf(hop));
  }

  learn(hop: NextHop, { hasShiftedTogether }: Pick<HopConnection, 'hasShiftedTogether'>): void {
    if (!hasShiftedTogether) return;
    this.#kept.delete(keyOf(hop));
    this.#kept.set(keyOf(hop), this.#clock() + KEPT_MS);
    dropOldest(this.#kept, MOST_HOPS);
  }
}
