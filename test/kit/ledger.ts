/**
 * The one oracle of the crash tests: what a client was promised against what arrived. Every id that was answered 250
 * must be at the next hop, whole; no id that was refused may be; more than once only where a crash was in between.
 */
import assert from 'node:assert/strict';
import type { QueueEntry } from '#relay/queue/tools.ts';
import type { Hop } from './hop.ts';
import type { Sink } from './sink.ts';

/** Where a message is that was acknowledged: at the hop, told of to its sender, in the queue (and how), or nowhere. */
export type Place = 'arrived' | 'returned' | QueueEntry['state'] | 'nowhere';

export interface Expected {
  readonly id: string;
  readonly queueId: string;
  /** Any of these is right. */
  readonly places: readonly Place[];
}

/** What came to a next hop, by the id of the message that it is, or tells of. */
export class Arrivals {
  readonly #messages = new Set<string>();
  readonly #reports = new Set<string>();

  /** Takes them out, so that many rounds cost no memory. */
  learn(hop: Hop): void {
    for (const { from, text } of hop.taken.splice(0)) {
      const id = /^X-Test-Id: (.*?)\r?$/m.exec(text)?.[1] ?? '';
      (from === '' ? this.#reports : this.#messages).add(id);
    }
    hop.said.length = 0;
  }

  /** A message that arrived is still in the queue until its entry is gone. */
  placeOf({ id, queueId }: Expected, entries: readonly QueueEntry[]): Place {
    const entry = entries.find((one) => one.id === queueId);
    if (entry) return entry.state;
    if (this.#messages.has(id)) return 'arrived';
    return this.#reports.has(id) ? 'returned' : 'nowhere';
  }
}

export class Ledger {
  /** Answered 250. */
  readonly promised = new Set<string>();
  /** Answered 4xx or 5xx: the reply. */
  readonly refused = new Map<string, string>();

  /** The different replies that refused something. */
  refusals(): string[] {
    return [...new Set(this.refused.values())];
  }

  missingAt(sink: Sink): string[] {
    const counts = sink.counts();
    return [...this.promised].filter((id) => !counts.has(id));
  }

  /** Throws when a promise was broken; the number of ids that arrived more than once. */
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
