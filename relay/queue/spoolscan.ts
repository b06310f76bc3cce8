/**
 * Finds what is in the spool and not known: the router is complete by the spool itself, and what other processes tell
 * only makes it faster. New ids sort by time, but a message may be committed long after it got its id, so besides the
 * newest ids all of them are looked through, again and again, in small steps.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { oldestQueueId, timeOfQueueId } from '../spool/record.ts';

const EVERY_MS = 2_000;
/** Mostly a message is committed so soon after it got its id. */
const COMMIT_MS = 60_000;
/** Ids of one step, so that deliveries are not held up. */
const AT_ONCE = 1_000;

export interface SpoolScanDeps {
  /** Ids in the spool behind `after`, the oldest first. */
  readonly list: (after: string, atMost: number) => readonly string[];
  readonly isKnown: (id: string) => boolean;
  readonly take: (id: string) => void;
  /** What cannot be read now is looked for again. */
  readonly onError: (error: Error) => void;
}

export class SpoolScan {
  readonly #deps: SpoolScanDeps;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  /** How far the walk over all of them has come. */
  #walked = '';
  /** How far the walk over the newest has come. */
  #recent = '';
  #newest = '';
  #looking: Promise<void> | undefined;
  #isAskedAgain = false;

  constructor(deps: SpoolScanDeps) {
    this.#deps = deps;
  }

  /** Takes up all there is, and looks at intervals from then on. */
  async start(everyMs = EVERY_MS): Promise<void> {
    this.#running = true;
    this.#timer = setInterval(() => this.step(), everyMs).unref();
    await this.look();
  }

  stop(): void {
    this.#running = false;
    clearInterval(this.#timer);
  }

  /** Looks through all of them at once, others have their turns in between. */
  look(): Promise<void> {
    this.#isAskedAgain = true;
    this.#looking ??= this.#lookWhileAsked().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** The next of the newest, and the next of all. */
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
      for (let ids = this.#takeBehind(''); ids.length > 0 && this.#running; ) {
        await turn();
        ids = this.#takeBehind(ids.at(-1) ?? '');
      }
    }
  }

  #takeBehind(after: string): readonly string[] {
    try {
      const ids = this.#deps.list(after, AT_ONCE);
      for (const id of ids) if (!this.#deps.isKnown(id)) this.#deps.take(id);
      const newest = ids.at(-1) ?? '';
      if (newest > this.#newest) this.#newest = newest;
      return ids;
    } catch (error) {
      this.#deps.onError(error as Error);
      return [];
    }
  }
}
