/**
 * When deliveries began, so that no window of time has more of them than its rate. Separate from the queues, which exist
 * only while messages wait. Bounded by the rates. What the router before has begun counts (shapingmemory.ts). Pure: it has
 * no clock of its own.
 */
import type { Destination } from '../delivery/courier.ts';
import { NO_NOTE, NO_ROW, type NoteChange, type Remembered } from './shapingnote.ts';

/** At most `most` deliveries begin in any window of this length. */
export interface Rate {
  readonly most: number;
  readonly windowMs: number;
}

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;

export class Pace {
  /** Sorted, oldest first. */
  #begun: number[];
  readonly #onChange: (() => void) | undefined;

  /** `begun`: by the router before this one. */
  constructor(begun: readonly number[] = [], onChange?: () => void) {
    this.#begun = [...begun];
    this.#onChange = onChange;
  }

  get begun(): readonly number[] {
    return this.#begun;
  }

  /** `now`, or the time when the next delivery may begin. */
  allowsAt({ most, windowMs }: Rate, now: number): number {
    const begun = this.#begun.at(-most);
    return begun === undefined ? now : Math.max(now, begun + windowMs);
  }

  /** `most`: as many beginnings as the rates need. */
  began(most: number, now: number): void {
    this.#begun.push(now);
    // Cut seldom, because each cut copies the list.
    if (this.#begun.length > 2 * most) this.#begun = this.#begun.slice(-most);
    this.#onChange?.();
  }

  /** Forgets a beginning at this time. Few are remembered, and it is one of the last. */
  giveBack(at: number): void {
    const index = this.#begun.lastIndexOf(at);
    if (index === -1) return;
    this.#begun.splice(index, 1);
    this.#onChange?.();
  }

  /** True if nothing began in the last minute. */
  isOver(now: number): boolean {
    return (this.#begun.at(-1) ?? 0) <= now - MINUTE_MS;
  }
}

const NONE: Remembered['begun'] = new Map();

type Paced = Pick<Destination, 'key' | 'name'>;

/** The paces of destinations and providers. */
export class Paces {
  readonly #note: NoteChange;
  /** By destination key, the key that was used least recently first. */
  readonly #paces = new Map<string, Pace>();
  /** Of the router before, by name: a change of limits or TLS makes another key, and begins no minute anew. */
  #before: Remembered['begun'] = NONE;
  #beforeIsOverAt = 0;

  constructor(note: NoteChange = NO_NOTE) {
    this.#note = note;
  }

  /** Call this before the first delivery. */
  remember({ begun }: Pick<Remembered, 'begun'>, now: number): void {
    this.#before = begun;
    this.#beforeIsOverAt = now + HOUR_MS;
  }

  allowsAt(destination: Paced, perMinute: number, now: number): number {
    return this.#find(destination, now)?.allowsAt({ most: perMinute, windowMs: MINUTE_MS }, now) ?? now;
  }

  giveBack({ key }: Paced, at: number): void {
    this.#paces.get(key)?.giveBack(at);
  }

  began(destination: Paced, perMinute: number, now: number): void {
    const { key } = destination;
    if (now >= this.#beforeIsOverAt) this.#before = NONE;
    const pace = this.#find(destination, now) ?? this.#open(key, destination.name, MINUTE_MS);
    pace.began(perMinute, now);
    this.#paces.delete(key);
    this.#paces.set(key, pace);
    for (const [oldest, one] of this.#paces) {
      if (!one.isOver(now)) break;
      this.#paces.delete(oldest);
      this.#note(makeRowKey(oldest), NO_ROW);
    }
  }

  /** Of a provider, which may have a limit for an hour. The caller keeps it. */
  openShared(name: string): Pace {
    return this.#open(name, name, HOUR_MS);
  }

  #find({ key, name }: Paced, now: number): Pace | undefined {
    const known = this.#paces.get(key);
    if (known || this.#before.size === 0) return known;
    const last = this.#before.get(name)?.at(-1);
    if (last === undefined || last <= now - MINUTE_MS) return undefined;
    const pace = this.#open(key, name, MINUTE_MS);
    this.#paces.set(key, pace);
    return pace;
  }

  #open(key: string, name: string, windowMs: number): Pace {
    const row = () => ({ kind: 'begun', name, windowMs, begun: pace.begun }) as const;
    const rowKey = makeRowKey(key);
    const pace: Pace = new Pace(this.#before.get(name), () => this.#note(rowKey, row));
    return pace;
  }
}

function makeRowKey(key: string): string {
  return `begun ${key}`;
}
