/**
 * The reports of the process that has the queue, router or giver: counts, and figures when they have changed. Figures are read
 * from the store too. Where it cannot be read, which is said once, they are told later, and the process goes on.
 */
import type { Counters } from './counts.ts';
import type { FromRouter, QueueFigures } from './messages.ts';

export class QueueTeller {
  readonly #tell: (message: FromRouter) => void;
  readonly #onUnread: (error: Error) => void;
  #told = '';
  /** Why figures cannot be read now. */
  #fault = '';

  constructor(tell: (message: FromRouter) => void, onUnread: (error: Error) => void) {
    this.#tell = tell;
    this.#onUnread = onUnread;
  }

  /** `read` undefined: only the counts are told. */
  tell(counters: Counters, read: (() => QueueFigures) | undefined): void {
    const counted = counters.take();
    if (counted) this.#tell({ kind: 'counts', ...counted });
    try {
      if (read) this.#tellFigures(read());
      this.#fault = '';
    } catch (error) {
      this.#failed(error as Error);
    }
  }

  #tellFigures(figures: QueueFigures): void {
    const text = JSON.stringify(figures);
    if (text !== this.#told) this.#tell({ kind: 'queue', figures });
    this.#told = text;
  }

  /** The next figures are sent even if they are unchanged. */
  forget(): void {
    this.#told = '';
  }

  #failed(error: Error): void {
    if (error.message !== this.#fault) this.#onUnread(error);
    this.#fault = error.message;
  }
}
