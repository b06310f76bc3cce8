/**
 * Deliveries that wait: those that are due, the oldest first, and those that were put off, by the time they are due
 * again, with the reason. Holds ids, each once; a few of them, or very many, cost little memory each. No clock of its
 * own.
 */
import type { Failure } from '#crds/failure.ts';
import { IdTable } from './idtable.ts';
import type { Share } from './slots.ts';

export interface Waiting {
  readonly id: string;
  readonly share: Share;
  /** It may go from then on. */
  readonly due: number;
  /** Why it was put off last, where it was since this process began. */
  readonly failure?: Failure;
  /** What the round that is under way has shown of its recipients. */
  readonly round?: Round;
}

export interface Round {
  /** Put off: the others have their turn first. */
  readonly deferred: readonly string[];
  /** Why. */
  readonly failure?: Failure;
  /** Refused because of the others: each goes in a transaction of its own. */
  readonly alone: readonly string[];
}

/** So many are found without an index, and need no table. */
const FEW = 8;
/** Never written. */
const NONE: Waiting[] = [];

export class WaitingMessages {
  readonly #share: Share;
  /** By the time at which they are due. */
  #later = NONE;
  /** Of these, by id, where they are more than a few. */
  #laterById: Map<string, Waiting> | undefined;
  /** Since when they are due; all that is known of them. */
  #ready: IdTable | undefined;

  constructor(share: Share) {
    this.#share = share;
  }

  get size(): number {
    return (this.#ready?.size ?? 0) + this.#later.length;
  }

  /** Once, whatever comes again. */
  add(waiting: Waiting): void {
    const { id, due, failure, round } = waiting;
    if (this.has(id)) return;
    const isReady = failure === undefined && round === undefined;
    if (isReady && (this.#hasReady || this.#later.length >= FEW)) this.#addReady(id, due);
    else this.#insert(waiting);
  }

  has(id: string): boolean {
    return this.#find(id) !== undefined || this.#ready?.has(id) === true;
  }

  /** The next delivery that is due at `now`, oldest deferral first, or undefined. */
  next(now: number): Waiting | undefined {
    const first = this.#later[0];
    if (!first || first.due > now) return this.#nextReady(now);
    this.#later.shift();
    this.#laterById?.delete(first.id);
    if (this.#later.length === 0) this.#clear();
    return first;
  }

  /** When the next delivery is due: `now` where one is, undefined where none waits. */
  nextDue(now: number): number | undefined {
    return this.#hasReady ? now : this.#later[0] && Math.max(this.#later[0].due, now);
  }

  /** This delivery, where it waits here. */
  get(id: string): Waiting | undefined {
    const due = this.#ready?.get(id);
    return due === undefined ? this.#find(id) : { id, due, share: this.#share };
  }

  /** Those that `wanted` names are due at once, before all others that were put off; true where there are any. */
  hurry(wanted: (id: string, failure?: Failure) => boolean): boolean {
    const isWanted = ({ id, failure }: Waiting) => wanted(id, failure);
    const hurried = this.#later.filter(isWanted).map((waiting) => ({ ...waiting, due: 0 }));
    for (const waiting of hurried) this.#laterById?.set(waiting.id, waiting);
    this.#later = [...hurried, ...this.#later.filter((waiting) => !isWanted(waiting))];
    return hurried.length > 0 || this.#ready?.ids().some((id) => wanted(id)) === true;
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
    // An array that grows reserves room for sixteen more.
    if (this.#later.length === 0) this.#later = [waiting];
    else this.#later.splice(this.#placeOf(waiting.due), 0, waiting);
    if (this.#laterById) this.#laterById.set(waiting.id, waiting);
    else if (this.#later.length > FEW) this.#laterById = new Map(this.#later.map((one) => [one.id, one]));
  }

  /** Behind those that are due no later. */
  #placeOf(due: number): number {
    let [low, high] = [0, this.#later.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#later[middle]?.due ?? 0) <= due) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #nextReady(now: number): Waiting | undefined {
    const id = this.#ready?.next();
    if (id === undefined) return undefined;
    return { id, due: this.#ready?.take(id) ?? now, share: this.#share };
  }
}
