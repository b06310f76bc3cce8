/**
 * Waiting deliveries. Due ones are sorted by arrival, deferred ones by the time when they become due, with the reason. Where
 * both may go they take turns: deferred ones that come back faster than a limit lets them go would keep all new mail back.
 * Each id is stored once, and each one needs little memory. This file has no clock of its own.
 */
import type { Failure } from '#crds/failure.ts';
import { IdTable } from './idtable.ts';
import type { Share } from './slots.ts';

export interface Waiting {
  readonly id: string;
  readonly share: Share;
  /** The message may be tried from this time on. */
  readonly due: number;
  /** The destination gave it no session, so an answer of the destination ends its wait. */
  readonly isAway?: boolean;
  /** Why it was last deferred, if that was since this process began. */
  readonly failure?: Failure;
  /** The results of the present round for its recipients. */
  readonly round?: Round;
}

/**
 * The order of recipients where next hops end a session after so many refusals: without it the others would never have their
 * turn.
 */
export interface Order {
  /** They were refused once. They go after the others. */
  readonly late?: readonly string[];
  /** They were refused again. They go after all. */
  readonly last?: readonly string[];
}

export interface Round extends Order {
  /** Deferred recipients. The other recipients go first. */
  readonly deferred: readonly string[];
  /** The reason. */
  readonly failure?: Failure;
  /** Recipients that were refused because of the others. Each goes in a transaction of its own. */
  readonly alone: readonly string[];
}

/** Up to this number a search needs no index and no table. */
const FEW = 8;
/** An empty list that is never changed. */
const NONE: Waiting[] = [];

export class WaitingMessages {
  readonly #share: Share;
  /** Sorted by due time. */
  #later = NONE;
  /** The deferred deliveries by id, if there are more than a few. */
  #laterById: Map<string, Waiting> | undefined;
  /** The due deliveries, with the time since when they are due. */
  #ready: IdTable | undefined;
  /** One that was put off was taken last. */
  #isReadysTurn = false;
  /** False: none waits only for the destination. It saves a look at all that wait for each answer. */
  #mayBeAway = false;

  constructor(share: Share) {
    this.#share = share;
  }

  get size(): number {
    return (this.#ready?.size ?? 0) + this.#later.length;
  }

  /** The waiting delivery, if it is the only one. */
  get only(): Waiting | undefined {
    if (this.size !== 1) return undefined;
    const id = this.#ready?.next();
    return id === undefined ? this.#later[0] : this.get(id);
  }

  /** Adds a delivery. A second call with the same id changes nothing. */
  add(waiting: Waiting, now: number): void {
    const { id, due, failure, round } = waiting;
    if (this.has(id)) return;
    const isReady = failure === undefined && round === undefined && due <= now;
    if (isReady && (this.#hasReady || this.#later.length >= FEW)) this.#addReady(id, due);
    else this.#insert(waiting);
  }

  has(id: string): boolean {
    return this.#find(id) !== undefined || this.#ready?.has(id) === true;
  }

  /** Takes the next delivery that is due at `now`. Undefined if there is none. */
  next(now: number): Waiting | undefined {
    const first = this.#later[0];
    const isFirsts = first !== undefined && first.due <= now && !(this.#isReadysTurn && this.#hasReady);
    // Only what was put off costs a turn: a new one here is older than the others, and a hurried one goes before them.
    this.#isReadysTurn = isFirsts && first.due > 0 && (first.failure ?? first.round) !== undefined;
    return isFirsts ? this.#takeFirst(first) : this.#nextReady(now);
  }

  /** When the next delivery is due: `now` if one is due already, undefined if none waits. */
  nextDue(now: number): number | undefined {
    return this.#hasReady ? now : this.#later[0] && Math.max(this.#later[0].due, now);
  }

  /** The waiting delivery with this id. */
  get(id: string): Waiting | undefined {
    const due = this.#ready?.get(id);
    return due === undefined ? this.#find(id) : { id, due, share: this.#share };
  }

  /** Makes the deliveries that `wanted` selects due now, before all others. True if there are any. */
  hurry(wanted: (id: string, failure?: Failure) => boolean): boolean {
    const isWanted = ({ id, failure }: Waiting) => wanted(id, failure);
    const hurried = this.#later.filter(isWanted).map((waiting) => ({ ...waiting, due: 0 }));
    for (const waiting of hurried) this.#laterById?.set(waiting.id, waiting);
    const others = this.#later.filter((waiting) => !isWanted(waiting));
    const ready = [...(this.#ready?.ids().filter((id) => wanted(id)) ?? [])];
    // Where all new ones are wanted they stay where they are.
    const areAll = ready.length === (this.#ready?.size ?? 0);
    this.#later = [...hurried, ...(areAll ? [] : this.#pickReady(ready)), ...others];
    this.#isReadysTurn = areAll && hurried.length === 0;
    this.#indexLater();
    return hurried.length + ready.length > 0;
  }

  /** The destination answers: what waits for that alone is due at `at`. */
  reached(at: number): void {
    if (!this.#mayBeAway) return;
    this.#mayBeAway = false;
    const away = this.#later.filter(({ isAway }) => isAway);
    this.#later = this.#later.filter(({ isAway }) => !isAway);
    for (const { isAway: _, ...waiting } of away)
      this.#insert({ ...waiting, due: Math.min(waiting.due, at) });
  }

  #clear(): void {
    this.#later = NONE;
    this.#laterById = undefined;
  }

  get #hasReady(): boolean {
    return this.#ready !== undefined && this.#ready.size > 0;
  }

  #addReady(id: string, since: number): void {
    this.#ready ??= new IdTable();
    this.#ready.set(id, since);
  }

  #find(id: string): Waiting | undefined {
    return this.#laterById ? this.#laterById.get(id) : this.#later.find((waiting) => waiting.id === id);
  }

  #insert(waiting: Waiting): void {
    this.#mayBeAway ||= waiting.isAway === true;
    // A growing array reserves room for sixteen more items, so the first one gets an array of its own.
    if (this.#later.length === 0) this.#later = [waiting];
    else this.#later.splice(this.#findPlace(waiting.due), 0, waiting);
    this.#laterById?.set(waiting.id, waiting);
    this.#indexLater();
  }

  #indexLater(): void {
    if (this.#later.length > FEW) this.#laterById ??= new Map(this.#later.map((one) => [one.id, one]));
  }

  /** The position after all deliveries that are not due later. */
  #findPlace(due: number): number {
    let [low, high] = [0, this.#later.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#later[middle]?.due ?? 0) <= due) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Takes some of the new ones out of the table. */
  #pickReady(ids: readonly string[]): Waiting[] {
    const picked = ids.map((id) => ({ id, share: this.#share, due: 0 }));
    for (const waiting of picked) {
      this.#ready?.take(waiting.id);
      this.#laterById?.set(waiting.id, waiting);
    }
    return picked;
  }

  #takeFirst(first: Waiting): Waiting {
    this.#later.shift();
    this.#laterById?.delete(first.id);
    if (this.#later.length === 0) this.#clear();
    return first;
  }

  #nextReady(now: number): Waiting | undefined {
    const id = this.#ready?.next();
    if (id === undefined) return undefined;
    return { id, due: this.#ready?.take(id) ?? now, share: this.#share };
  }
}
