/**
 * The deliveries that wait for one destination: those that are due, the oldest first, and those that were put off,
 * by the time they are due again, with the reason. Holds ids, each once, so that a long queue costs little memory. No
 * clock of its own.
 */
import type { Failure } from '#crds/failure.ts';
import { IdTable } from './idtable.ts';

export interface Waiting {
  readonly id: string;
  /** Deferrals so far. */
  readonly attempts: number;
  /** Why it was put off last. */
  readonly failure?: Failure;
  /** Recipients that were put off in this round: the others have their turn first. */
  readonly tried?: { readonly addresses: readonly string[]; readonly failure: Failure };
}

interface Later {
  readonly waiting: Waiting;
  readonly due: number;
}

export class WaitingMessages {
  /** With the deferrals of each; all that is known of them. */
  readonly #ready = new IdTable();
  /** By the time at which they are due. */
  #later: Later[] = [];
  readonly #laterById = new Map<string, Later>();

  get size(): number {
    return this.#ready.size + this.#later.length;
  }

  /** It is due now. */
  add(waiting: Waiting): void {
    const { id, attempts, failure, tried } = waiting;
    if (this.#has(id)) return;
    if (failure === undefined && tried === undefined) this.#ready.set(id, attempts);
    else this.#insert({ waiting, due: 0 });
  }

  /** Puts a delivery off until `due`. */
  putOff(waiting: Waiting, due: number): void {
    if (!this.#has(waiting.id)) this.#insert({ waiting, due });
  }

  /** The next delivery that is due at `now`, oldest deferral first, or undefined. */
  next(now: number): Waiting | undefined {
    const first = this.#later[0];
    if (!first || first.due > now) return this.#nextReady();
    this.#later.shift();
    this.#laterById.delete(first.waiting.id);
    return first.waiting;
  }

  /** When the next delivery is due: `now` where one is ready, undefined where none waits. */
  nextDue(now: number): number | undefined {
    return this.#ready.size > 0 ? now : this.#later[0]?.due;
  }

  /** When this delivery is due; undefined where it does not wait here. */
  dueOf(id: string, now: number): number | undefined {
    const later = this.#laterById.get(id);
    if (later) return Math.max(later.due, now);
    return this.#ready.has(id) ? now : undefined;
  }

  /** Why this delivery was put off, where it waits here and was. */
  failureOf(id: string): Failure | undefined {
    return this.#laterById.get(id)?.waiting.failure;
  }

  /** Those that `wanted` names are due at once, before all others that were put off; true where there are any. */
  hurry(wanted: (id: string) => boolean): boolean {
    const isWanted = ({ waiting: { id } }: Later) => wanted(id);
    const hurried = this.#later.filter(isWanted).map(({ waiting }) => ({ waiting, due: 0 }));
    for (const later of hurried) this.#laterById.set(later.waiting.id, later);
    this.#later = [...hurried, ...this.#later.filter((later) => !isWanted(later))];
    return hurried.length > 0 || this.#ready.ids().some(wanted);
  }

  #has(id: string): boolean {
    return this.#laterById.has(id) || this.#ready.has(id);
  }

  #insert(later: Later): void {
    this.#laterById.set(later.waiting.id, later);
    this.#later.splice(this.#placeOf(later.due), 0, later);
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

  #nextReady(): Waiting | undefined {
    const id = this.#ready.next();
    if (id === undefined) return undefined;
    return { id, attempts: this.#ready.take(id) ?? 0 };
  }
}
