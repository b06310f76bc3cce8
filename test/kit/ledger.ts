/**
 * The oracle of the crash tests: compares the promises to clients with the messages that arrived. Every id that was
 * answered 250 must be at the next hop, complete. No id that was refused may be there. An id may arrive more than once
 * only if a crash was in between.
 */
import assert from 'node:assert/strict';
import type { QueueEntry } from '#relay/queue/tools.ts';
import type { Hop } from './hop.ts';
import type { Sink } from './sink.ts';

/**
 * The place of an acknowledged message: at the hop, returned to its sender, in the queue (with its state), or nowhere.
 */
export type Place = 'arrived' | 'returned' | QueueEntry['state'] | 'nowhere';

export interface Expected {
  readonly id: string;
  readonly queueId: string;
  /** The places that are right. */
  readonly places: readonly Place[];
}

/** The messages and reports that arrived at a next hop, by the id of the original message. */
export class Arrivals {
  readonly #messages = new Set<string>();
  readonly #reports = new Set<string>();

  /** Takes the messages out of the hop, so that many rounds need no memory. */
  learn(hop: Hop): void {
    for (const { from, text } of hop.taken.splice(0)) {
      const id = /^X-Test-Id: (.*?)\r?$/m.exec(text)?.[1] ?? '';
      (from === '' ? this.#reports : this.#messages).add(id);
    }
    hop.said.length = 0;
  }

  /** A message that arrived still counts as queued until its entry is gone. */
  placeOf({ id, queueId }: Expected, entries: readonly QueueEntry[]): Place {
    const entry = entries.find((one) => one.id === queueId);
    if (entry) return entry.state;
    if (this.#messages.has(id)) return 'arrived';
    return this.#reports.has(id) ? 'returned' : 'nowhere';
  }
}

export class Ledger {
  /** Ids that were answered 250. */
  readonly promised = new Set<string>();
  /** Ids that were answered 4xx or 5xx, with the reply. */
  readonly refused = new Map<string, string>();

  /** The distinct replies among the refusals. */
  refusals(): string[] {
    return [...new Set(this.refused.values())];
  }

  missingAt(sink: Sink): string[] {
    const counts = sink.counts();
    return [...this.promised].filter((id) => !counts.has(id));
  }

  /** Throws if a promise was broken. Returns the number of ids that arrived more than once. */
  settle(sink: Sink): number {
    assert.deepEqual(this.missingAt(sink), [], 'promised and lost');
    const counts = sink.counts();
    assert.deepEqual(
      [...this.refused].filter(([id]) => counts.has(id)),
      [],
      'refused and delivered',
    );
    for (const { id, text } of sink.arrived) assert.ok(text.endsWith('end\r\n'), `${id} is cut short`);
    return [...counts.values()].filter((count) => count > 1).length;
  }
}
