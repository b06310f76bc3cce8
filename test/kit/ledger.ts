/**
 * The one oracle of the crash tests: what a client was promised against what arrived. Every id that was answered 250
 * must be at the next hop, whole; no id that was refused may be; more than once only where a crash was in between.
 */
import assert from 'node:assert/strict';
import type { Sink } from './sink.ts';

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
