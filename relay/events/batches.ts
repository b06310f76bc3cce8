/**
 * Chooses the events of the next request, and learns from refusals which event the receiver cannot take. A batch that is
 * refused is halved until one event is left. That one is passed over, so others have their turn, and is tried again by
 * itself. It is given up only when it was refused again and again while others were taken: a receiver that refuses
 * everything is wrong as a whole, and gives up nothing. The caller passes the time in.
 */
import type { SpoolEvent } from '../spool/spool.ts';
import { dropOldest } from '../task/oldest.ts';

const BATCH = { events: 200, bytes: 256 * 1024 };
const PAUSE_MS = { first: 1_000, last: 5 * 60_000 };
/**
 * With their pauses, these take 18 minutes at least: longer than a bad version of the receiver beside a good one during a
 * rollout.
 */
const TRIES = 12;
const REMEMBERED = 1_000;

/** An event that was refused alone. */
interface Suspect {
  /** Each of them was followed by an event that was taken. */
  readonly refusals: number;
  /** Another event was taken since the last refusal. */
  readonly isProven: boolean;
  readonly notBefore: number;
}

/** split: the same events go in smaller requests. wait: the receiver itself may be wrong. pass: others come first. */
type Lesson =
  | { readonly kind: 'split' | 'wait' | 'pass' }
  | { readonly kind: 'giveUp'; readonly key: string };

export class Batches {
  readonly #suspects = new Map<string, Suspect>();
  #most = BATCH.events;
  /** After each try of a suspect, others come first. */
  #isTurnOfOthers = false;

  /** How many of the oldest events `pick` needs. */
  get choice(): number {
    return BATCH.events + this.#suspects.size;
  }

  /** True if this batch has all that waits for a first try: what comes next may come together. */
  isRest(batch: readonly SpoolEvent[], events: readonly SpoolEvent[]): boolean {
    if (batch.length >= BATCH.events || this.isSuspect(batch)) return false;
    return batch.length === events.filter((event) => !this.isSuspect([event])).length;
  }

  /** Something was refused, and full batches are not yet taken again. */
  get isSearching(): boolean {
    return this.#most < BATCH.events;
  }

  isSuspect([first]: readonly SpoolEvent[]): boolean {
    return first !== undefined && this.#suspects.has(first.key);
  }

  /** Of the oldest events that wait. Empty: nothing waits, or only suspects whose time has not come. */
  pick(events: readonly SpoolEvent[], now: number): readonly SpoolEvent[] {
    const due = events.find(({ key }) => {
      const suspect = this.#suspects.get(key);
      return suspect?.isProven && suspect.notBefore <= now;
    });
    const from = events.findIndex((event) => !this.isSuspect([event]));
    if (from !== -1 && (this.#isTurnOfOthers || !due)) return this.#fill(events.slice(from));
    if (due) return [due];
    // The receiver has taken nothing since: they take turns.
    for (const [suspect, { isProven }] of this.#suspects) {
      const event = isProven ? undefined : events.find(({ key }) => key === suspect);
      if (event) return [event];
    }
    return [];
  }

  #fill(events: readonly SpoolEvent[]): readonly SpoolEvent[] {
    let bytes = 0;
    const end = events.findIndex((event, index) => {
      bytes += event.value.length;
      const isFull = index === this.#most || bytes > BATCH.bytes;
      return index > 0 && (isFull || this.isSuspect([event]));
    });
    return end === -1 ? events : events.slice(0, end);
  }

  taken(batch: readonly SpoolEvent[]): void {
    this.#isTurnOfOthers = this.isSuspect(batch);
    this.#most = Math.min(this.#most * 2, BATCH.events);
    for (const { key } of batch) this.#suspects.delete(key);
    for (const [key, suspect] of this.#suspects) this.#suspects.set(key, { ...suspect, isProven: true });
  }

  /** The receiver does not want these events. */
  refused(batch: readonly SpoolEvent[], now: number): Lesson {
    const [first] = batch;
    if (!first || batch.length > 1) {
      this.#most = Math.ceil(batch.length / 2);
      return { kind: 'split' };
    }
    const { key } = first;
    const before = this.#suspects.get(key);
    this.#isTurnOfOthers = true;
    const refusals = (before?.refusals ?? 0) + (before?.isProven === false ? 0 : 1);
    this.#suspects.delete(key);
    if (refusals >= TRIES) return { kind: 'giveUp', key };
    this.#suspects.set(key, { refusals, isProven: false, notBefore: now + pauseMs(refusals - 1) });
    dropOldest(this.#suspects, REMEMBERED);
    return { kind: before?.isProven ? 'pass' : 'wait' };
  }
}

/** After a failure that so many others came before. */
export function pauseMs(times: number): number {
  return Math.min(PAUSE_MS.first * 2 ** times, PAUSE_MS.last);
}
