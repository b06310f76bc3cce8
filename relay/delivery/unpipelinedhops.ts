/**
 * Hops whose replies to commands that left together could not be told apart (hopanswers.ts). They get one command at a time
 * from then on, as long as this process runs: mail to them would wait again and again otherwise.
 */
import { dropOldest } from '../task/oldest.ts';
import type { NextHop } from './courier.ts';
import type { HopConnection } from './hopconnection.ts';

/** Those that were kept first are forgotten first. */
const MOST_HOPS = 1000;

const keyOf = ({ host, port }: NextHop) => `${host}:${port}`;

export class UnpipelinedHops {
  readonly #kept = new Set<string>();

  prepare(hop: NextHop, connection: HopConnection): void {
    if (this.#kept.size > 0 && this.#kept.has(keyOf(hop))) connection.stopPipelining();
  }

  learn(hop: NextHop, { hasShiftedTogether }: HopConnection): void {
    if (!hasShiftedTogether) return;
    this.#kept.add(keyOf(hop));
    dropOldest(this.#kept, MOST_HOPS);
  }
}
