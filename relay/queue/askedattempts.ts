/**
 * What came of the attempts that a person asked for by `mailrelay queue retry`. A message that leaves the queue leaves
 * no trace in it, so the verdicts of its recipients are kept here for a while. The number of messages is bounded: the
 * oldest are forgotten. Pure.
 */
import { describeFailure } from '#crds/failure.ts';
import type { Verdict } from '../delivery/courier.ts';

const MOST = 2_000;

/** The recipients with a final verdict since the person asked. */
export interface Leaving {
  readonly delivered: number;
  readonly refused: number;
  /** The last refusal. */
  readonly reason?: string;
}

const NOBODY: Leaving = { delivered: 0, refused: 0 };

export class AskedAttempts {
  /** By queue id, in the order in which they were asked for. */
  readonly #asked = new Map<string, Leaving>();

  /** Keeps what comes of these messages from now on; of a long list only the first. */
  expect(ids: readonly string[]): void {
    for (const id of ids.slice(0, MOST)) {
      this.#asked.delete(id);
      this.#asked.set(id, NOBODY);
    }
    const surplus = this.#asked.size - MOST;
    for (const id of [...this.#asked.keys()].slice(0, Math.max(0, surplus))) this.#asked.delete(id);
  }

  note(id: string, verdicts: readonly Verdict[]): void {
    const before = this.#asked.get(id);
    if (before) this.#asked.set(id, verdicts.reduce(addVerdict, before));
  }

  /** Undefined for a message that nobody asked for, or that was forgotten. */
  find(id: string): Leaving | undefined {
    return this.#asked.get(id);
  }
}

function addVerdict(before: Leaving, verdict: Verdict): Leaving {
  if (verdict.kind === 'delivered') return { ...before, delivered: before.delivered + 1 };
  if (!verdict.failure.permanent) return before;
  return { ...before, refused: before.refused + 1, reason: describeFailure(verdict.failure) };
}
