/**
 * Finds messages in the spool that the queue does not know. The spool alone makes the queue complete. Reports of other
 * processes only make it faster. New ids sort by time, but a commit may come long after its id was made. So the newest
 * ids are read at each look, and all ids are read again and again in small steps.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { oldestQueueId, timeOfQueueId } from '../spool/record.ts';

const EVERY_MS = 2_000;
/** Usually a message is committed within this time after its id was made. */
const COMMIT_MS = 60_000;
/** The number of ids in one step, so that deliveries are not delayed. */
const AT_ONCE = 1_000;

export interface SpoolScanDeps {
  /** Ids in the spool after `after`, oldest first. */
  readonly list: (after: string, atMost: number) => readonly string[];
  readonly isKnown: (id: string) => boolean;
  readonly take: (id: string) => void;
  /** An unreadable spool is read again later. */
  readonly onError: (error: Error) => void;
}

export class SpoolScan {
  readonly #deps: SpoolScanDeps;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  /** The position of the scan over all ids. */
  #walked = '';
  /** The position of the scan over the newest ids. */
  #recent = '';
  #newest = '';
  #looking: Promise<void> | undefined;
  #isAskedAgain = false;

  constructor(deps: SpoolScanDeps) {
    this.#deps = deps;
  }

  /** Loads all messages, and looks for new ones at intervals from then on. */
  async start(everyMs = EVERY_MS): Promise<void> {
    this.#running = true;
    this.#timer = setInterval(() => this.step(), everyMs).unref();
    await this.look();
  }

  stop(): void {
    this.#running = false;
    clearInterval(this.#timer);
  }

  /** Scans all ids now. Other work has its turn between the steps. Before the start, there is nothing to do. */
  look(): Promise<void> {
    if (!this.#running) return Promise.resolve();
    this.#isAskedAgain = true;
    this.#looking ??= this.#lookWhileAsked();
    return this.#looking;
  }

  /** Reads the next part of the newest ids and the next part of all ids. */
  step(): void {
    const recent = this.#takeBehind(this.#recent);
    this.#recent = recent.length < AT_ONCE ? this.#recentFrom() : (recent.at(-1) ?? '');
    const walked = this.#takeBehind(this.#walked);
    this.#walked = walked.length < AT_ONCE ? '' : (walked.at(-1) ?? '');
  }

  #recentFrom(): string {
    return this.#newest === '' ? '' : oldestQueueId(timeOfQueueId(this.#newest) - COMMIT_MS);
  }

  async #lookWhileAsked(): Promise<void> {
    while (this.#isAskedAgain && this.#running) {
      this.#isAskedAgain = false;
      let ids: readonly string[];
      let after = '';
      do {
        ids = this.#takeBehind(after);
        after = ids.at(-1) ?? '';
        await turn();
      } while (ids.length > 0 && this.#running);
    }
    // In the same turn as the last test of the loop: a request that comes now starts a new scan.
    this.#looking = undefined;
  }

  /** One message that cannot be taken keeps no other from its turn. It is tried again at the next scan. */
  #take(id: string): void {
    try {
      if (!this.#deps.isKnown(id)) this.#deps.take(id);
    } catch (error) {
      this.#deps.onError(error as Error);
    }
  }

  #takeBehind(after: string): readonly string[] {
    try {
      const ids = this.#deps.list(after, AT_ONCE);
      for (const id of ids) this.#take(id);
      const newest = ids.at(-1) ?? '';
      if (newest > this.#newest) this.#newest = newest;
      return ids;
    } catch (error) {
      this.#deps.onError(error as Error);
      return [];
    }
  }
}
