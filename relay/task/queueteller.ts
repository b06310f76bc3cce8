/** The reports of the process that has the queue, router or giver: counts, and figures when they have changed. */
import type { Counters } from './counts.ts';
import type { FromRouter, QueueFigures } from './messages.ts';

export class QueueTeller {
  readonly #tell: (message: FromRouter) => void;
  #told = '';

  constructor(tell: (message: FromRouter) => void) {
    this.#tell = tell;
  }

  /** Without figures, only the counts are told. */
  tell({ counters, figures }: { readonly counters: Counters; readonly figures?: QueueFigures }): void {
    const counted = counters.take();
    if (counted) this.#tell({ kind: 'counts', ...counted });
    if (!figures) return;
    const text = JSON.stringify(figures);
    if (text !== this.#told) this.#tell({ kind: 'queue', figures });
    this.#told = text;
  }

  /** The next figures are sent even if they are unchanged. */
  forget(): void {
    this.#told = '';
  }
}
