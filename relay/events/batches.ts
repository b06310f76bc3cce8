/**
 * Chooses the events of the next request, and learns from failures which event the receiver cannot take. A batch that is
 * refused is halved until one event is left. That one is passed over, so others have their turn, and is tried again by
 * itself. It is given up only when it was refused again and again while others were taken: a receiver that refuses
 * everything is wrong as a whole, and gives up nothing. If the receiver does not say that it refuses the events, each of
 * these refusals counts only if the next request with others is taken at once. So failures at random, of any share, give
 * up nothing: at best every fourth pair of requests looks like this. A receiver for which a batch was too large, or that
 * did not answer in time, gets smaller ones for some time. The caller passes the time in.
 */
import type { SpoolEvent } from '../spool/spool.ts';
import { dropOldest } from '../task/oldest.ts';
import type { Posted } from './post.ts';

/** A request costs as much as some hundred events. Half of what many web servers take in a body. */
const BATCH = { events: 1_000, bytes: 512 * 1024 };
/** So few events are never too many. */
const FEW = 50;
/** After so many full batches that were taken, twice as many events are tried. */
const TAKEN_TIMES = 100;
const PAUSE_MS = { first: 1_000, last: 5 * 60_000 };
/**
 * With their pauses, these take 18 minutes at least: longer than a bad version of the receiver beside a good one during a
 * rollout.
 */
const TRIES = 12;
/**
 * A batch at which the receiver broke so many times in a row is believed to have the reason in it. They take some
 * seconds, so that a restart of the receiver is over.
 */
const ERRED_TIMES = 4;
const REMEMBERED = 1_000;

/** An event that was refused alone. */
interface Suspect {
  /** Those after which others were taken. */
  readonly refusals: number;
  /** The receiver said at the last try that it refuses the event. */
  readonly isExplicit: boolean;
  /** After the last refusal, others failed before one was taken. */
  readonly isDoubted: boolean;
  /** Others were taken since the last refusal. */
  readonly isProven: boolean;
  readonly notBefore: number;
}

/** What the receiver did with a batch that it did not take. */
interface Failure {
  readonly kind: Exclude<Posted['kind'], 'taken'>;
  /** Nothing was taken for so long that the events may be the reason. */
  readonly isLasting: boolean;
}

/** split: the same events go in smaller requests. wait: the receiver itself may be wrong. pass: others come first. */
type Lesson =
  | { readonly kind: 'split' | 'wait' | 'pass' }
  | { readonly kind: 'giveUp'; readonly key: string };

export class Batches {
  readonly #suspects = new Map<string, Suspect>();
  #most = BATCH.events;
  /** How many events the receiver can take at once, and how many such batches it has taken. */
  #bound = { events: BATCH.events, taken: 0 };
  /** After each try of a suspect, others come first. */
  #isTurnOfOthers = false;
  /** The batch, by its first event, at which the receiver broke the last times. */
  #erred = { first: '', times: 0 };

  /** How many of the oldest events `pick` needs. */
  get choice(): number {
    return BATCH.events + this.#suspects.size;
  }

  /** True if this batch has all that waits for a first try: what comes next may come together. */
  isRest(batch: readonly SpoolEvent[], events: readonly SpoolEvent[]): boolean {
    if (batch.length >= BATCH.events || this.isSuspect(batch)) return false;
    return batch.length === events.filter(({ key }) => !this.#suspects.has(key)).length;
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
    const from = events.findIndex(({ key }) => !this.#suspects.has(key));
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
    const end = events.findIndex(({ key, value }, index) => {
      bytes += Buffer.byteLength(value);
      const isFull = index === this.#most || bytes > BATCH.bytes;
      return index > 0 && (isFull || this.#suspects.has(key));
    });
    return end === -1 ? events : events.slice(0, end);
  }

  taken(batch: readonly SpoolEvent[]): void {
    const [first] = batch;
    // What is taken after all was not the reason, so nothing is to be found in it.
    const isInnocent = first?.key === this.#erred.first;
    this.#widen(batch);
    this.#most = Math.min(isInnocent ? BATCH.events : this.#most * 2, this.#bound.events);
    this.#isTurnOfOthers = this.isSuspect(batch);
    if (first && this.#isTurnOfOthers) {
      this.#suspects.delete(first.key);
      return;
    }
    this.#erred = { first: '', times: 0 };
    for (const [key, suspect] of this.#suspects) {
      const refusals = suspect.refusals + (suspect.isProven || suspect.isDoubted ? 0 : 1);
      this.#suspects.set(key, { ...suspect, refusals, isProven: true });
    }
  }

  failed(batch: readonly SpoolEvent[], { kind, isLasting }: Failure, now: number): Lesson {
    const isExplicit = kind === 'refused' || kind === 'too large';
    if (this.isSuspect(batch)) return this.#refusedAlone(batch[0], isExplicit, now);
    if (!isExplicit) this.#doubt();
    if (kind === 'late' || kind === 'too large') this.#narrow(batch);
    if (kind === 'too large' && batch.length > this.#bound.events) return { kind: 'split' };
    const isTheirs = isExplicit || isLasting || (kind === 'erred' && this.#hasErredOften(batch));
    if (!isTheirs) return { kind: 'wait' };
    this.#erred = { first: '', times: 0 };
    if (batch.length === 1) return this.#refusedAlone(batch[0], isExplicit, now);
    this.#most = Math.ceil(batch.length / 2);
    return { kind: 'split' };
  }

  #narrow({ length }: readonly SpoolEvent[]): void {
    if (length <= FEW) return;
    const events = Math.max(FEW, Math.ceil(length / 2));
    this.#bound = { events, taken: 0 };
    this.#most = Math.min(this.#most, events);
  }

  #widen({ length }: readonly SpoolEvent[]): void {
    const { events, taken } = this.#bound;
    if (length < events) return;
    const isTime = taken + 1 === TAKEN_TIMES;
    this.#bound = isTime
      ? { events: Math.min(events * 2, BATCH.events), taken: 0 }
      : { events, taken: taken + 1 };
  }

  /** A batch that grew meanwhile is the same. */
  #hasErredOften([first]: readonly SpoolEvent[]): boolean {
    const before = this.#erred.first === first?.key ? this.#erred.times : 0;
    this.#erred = { first: first?.key ?? '', times: before + 1 };
    return this.#erred.times >= ERRED_TIMES;
  }

  /** Others fail as well. */
  #doubt(): void {
    for (const [key, suspect] of this.#suspects) {
      if (suspect.isExplicit || suspect.isProven || suspect.isDoubted) continue;
      this.#suspects.set(key, { ...suspect, refusals: Math.max(0, suspect.refusals - 1), isDoubted: true });
    }
  }

  #refusedAlone(event: SpoolEvent | undefined, isExplicit: boolean, now: number): Lesson {
    if (!event) return { kind: 'wait' };
    const { key } = event;
    const before = this.#suspects.get(key);
    const refusals = before?.refusals ?? 0;
    this.#isTurnOfOthers = true;
    this.#suspects.delete(key);
    if (before?.isProven && refusals + 1 >= TRIES) return { kind: 'giveUp', key };
    const notBefore = now + pauseMs(refusals);
    this.#suspects.set(key, { refusals, isExplicit, isDoubted: false, isProven: false, notBefore });
    dropOldest(this.#suspects, REMEMBERED);
    return { kind: before?.isProven ? 'pass' : 'wait' };
  }
}

/** After a failure that so many others came before. */
export function pauseMs(times: number): number {
  return Math.min(PAUSE_MS.first * 2 ** times, PAUSE_MS.last);
}
