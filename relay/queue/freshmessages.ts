/**
 * Messages that were read on arrival, for their first delivery, so each is read once. Bounded by number, bytes and
 * time: a message that waits longer is read again. Every change of a message removes it here. This file has no clock of
 * its own.
 */
import type { Loaded } from '../spool/spool.ts';

type LoadedMessage = Loaded & { kind: 'message' };

const MESSAGES = 32;
const BYTES = 4 * 2 ** 20;
const KEPT_MS = 5_000;

export class FreshMessages {
  /** The oldest first. */
  readonly #messages = new Map<string, { readonly message: LoadedMessage; readonly until: number }>();
  #bytes = 0;

  hasRoom(now: number): boolean {
    for (const [id, { until }] of this.#messages) {
      if (until > now) break;
      this.forget(id);
    }
    return this.#messages.size < MESSAGES && this.#bytes < BYTES;
  }

  put(message: LoadedMessage, now: number): void {
    this.#messages.set(message.id, { message, until: now + KEPT_MS });
    this.#bytes += storedBytes(message);
  }

  get(id: string): LoadedMessage | undefined {
    return this.#messages.get(id)?.message;
  }

  forget(id: string): void {
    const known = this.get(id);
    if (known) this.#bytes -= storedBytes(known);
    this.#messages.delete(id);
  }
}

/** The size in memory. */
function storedBytes({ record }: LoadedMessage): number {
  return record.body === 'store' ? record.bytes : 0;
}
